
/*
 * Copyright (C) Rush
 *
 * Inside of provider_wechat.c, which asks, and provider_wechat_said.c, which
 * reads answers.
 */


#ifndef _RUSH_PROVIDER_WECHAT_H_INCLUDED_
#define _RUSH_PROVIDER_WECHAT_H_INCLUDED_


#include "teller.h"


void rush_wechat_judge(rush_teller_t *te, rush_job_t *job);


#endif /* _RUSH_PROVIDER_WECHAT_H_INCLUDED_ */
