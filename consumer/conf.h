
/*
 * Copyright (C) Rush
 *
 * Inside of conf.c and conf_settings.c: the table of all settings.
 */


#ifndef _RUSH_CONF_H_INCLUDED_
#define _RUSH_CONF_H_INCLUDED_


#include "consumer.h"


typedef enum {
    RUSH_C_INT = 0,
    RUSH_C_STR
} rush_conf_type_e;


/* one setting; env also works without a file */

typedef struct {
    const char        *section;
    const char        *name;
    const char        *env;
    rush_conf_type_e   type;
    size_t             offset;
    const char        *dflt;            /* INT: digits */
    int64_t            min;
    int64_t            max;
} rush_setting_t;


extern const rush_setting_t  rush_settings[];
extern const size_t          rush_nsettings;


#endif /* _RUSH_CONF_H_INCLUDED_ */
