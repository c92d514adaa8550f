# Copyright (C) Rush
#
# make -f tools/consumer.mk BUILD=dir CC= CFLAGS= LDFLAGS=
# The consumer links the files of shared/ that know no nginx.

ROOT    := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST))/..)))
BUILD   ?= $(ROOT)/build
CFLAGS  ?= -g -O2 -Wall -Wextra -Wshadow -Werror -Wno-unused-parameter
LUA     := $(wildcard $(ROOT)/ngx_seckill_module/lua/*.lua)
DIR     := $(BUILD)/consumer

SRCS    := $(wildcard $(ROOT)/consumer/*.c) $(wildcard $(ROOT)/shared/rush_*.c)
OBJS    := $(addprefix $(DIR)/,$(notdir $(SRCS:.c=.o)))
GEN     := $(DIR)/consumer_sql.h $(DIR)/controller_sql.h $(DIR)/seckill_lua.h
LIBS    := -lhiredis -lmariadb -lcrypto -lcrypt -linih -lpthread -lm

VPATH   := $(ROOT)/consumer $(ROOT)/shared

$(BUILD)/rush-consumer: $(OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@.new $(OBJS) $(LIBS)
	mv $@.new $@

$(DIR)/%.o: %.c $(GEN) | $(DIR)
	$(CC) $(CPPFLAGS) $(CFLAGS) -D_GNU_SOURCE -pthread -MMD -MP -I$(DIR) \
		-I$(ROOT)/consumer -I$(ROOT)/shared -c -o $@ $<

$(DIR)/consumer_sql.h: $(ROOT)/consumer/consumer.sql $(ROOT)/tools/embed.pl \
		| $(DIR)
	perl $(ROOT)/tools/embed.pl sql rush $@ $<

$(DIR)/controller_sql.h: $(ROOT)/consumer/controller.sql \
		$(ROOT)/tools/embed.pl | $(DIR)
	perl $(ROOT)/tools/embed.pl sql rush_ctl $@ $<

$(DIR)/seckill_lua.h: $(LUA) $(ROOT)/tools/embed.pl | $(DIR)
	perl $(ROOT)/tools/embed.pl lua rush $@ $(LUA)

$(DIR):
	mkdir -p $@

-include $(OBJS:.o=.d)
