
/*
 * Copyright (C) Rush
 *
 * The chain of the record of administrators: audit_log.c adds to it,
 * audit_log_verify.c looks whether it is whole.
 */


#ifndef _RUSH_AUDIT_LOG_H_INCLUDED_
#define _RUSH_AUDIT_LOG_H_INCLUDED_


#include "controller.h"


#define RUSH_AUDIT_HASH_LEN  64         /* hex SHA-256 */
#define RUSH_AUDIT_COLS      12         /* act .. created_ms */


/*
 * Hash of row "seq" whose columns act .. created_ms are at cells, after the
 * row with the hash "prev": SHA-256 of the texts seq, prev, act .. created_ms,
 * each as "length:bytes,".  Writes RUSH_AUDIT_HASH_LEN hex digits and a NUL.
 */
int rush_audit_log_hash(int64_t seq, const rush_str_t *prev,
    const rush_str_t *cells, char *hash);


#endif /* _RUSH_AUDIT_LOG_H_INCLUDED_ */
