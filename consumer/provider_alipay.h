
/*
 * Copyright (C) Rush
 *
 * Inside of provider_alipay.c, which asks, and provider_alipay_said.c, which
 * reads answers.
 */


#ifndef _RUSH_PROVIDER_ALIPAY_H_INCLUDED_
#define _RUSH_PROVIDER_ALIPAY_H_INCLUDED_


#include "rush_alipay.h"
#include "teller.h"


/* of job->op, NULL: there is none */
const char *rush_alipay_method(const rush_job_t *job);

void rush_alipay_judge(rush_teller_t *te, rush_job_t *job);

/* members of an object; nothing when there is no amount, or no time */
void rush_alipay_put_yuan(rush_buf_t *b, const char *name, int64_t fen);
void rush_alipay_put_time(rush_buf_t *b, const char *name, int64_t ms);


#endif /* _RUSH_PROVIDER_ALIPAY_H_INCLUDED_ */
