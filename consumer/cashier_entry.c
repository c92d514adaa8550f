
/*
 * Copyright (C) Rush
 *
 * One notice: read, applied, or set aside as a dead letter when nobody could
 * ever apply it.
 */


#include <stdlib.h>

#include "cashier.h"
#include "rush_field.h"


static int rush_cashier_field(const redisReply *fields, const char *name,
    rush_str_t *s, size_t max);
static int rush_cashier_copy(rush_cashier_t *ca, const rush_str_t *body);
static int rush_cashier_pay(rush_cashier_t *ca, const rush_told_t *told,
    const char **cause);
static int rush_cashier_refund(rush_cashier_t *ca, const rush_told_t *told,
    const char **cause);
static int rush_cashier_dead(rush_cashier_t *ca, const redisReply *entry,
    const char *cause);


int
rush_cashier_entry(rush_cashier_t *ca, const redisReply *entry)
{
    int           rc;
    const char   *cause;
    rush_told_t   told;

    if (entry->element[1]->type == REDIS_REPLY_NIL) {
        return rush_cashier_lost(ca, entry->element[0]->str);
    }

    cause = NULL;

    if (rush_cashier_told(entry->element[1], &told, &cause) != RUSH_OK) {
        return rush_cashier_dead(ca, entry, cause);
    }

    rc = rush_cashier_apply(ca, &told, &cause);

    return rc == RUSH_DB_DATA ? rush_cashier_dead(ca, entry, cause) : rc;
}


int
rush_cashier_replay(rush_daemon_t *d, rush_db_t *db, const redisReply *entry,
    const char **what)
{
    int              rc;
    rush_told_t      told;
    rush_cashier_t  *ca;

    if (rush_cashier_told(entry->element[1], &told, what) != RUSH_OK) {
        return RUSH_ERROR;
    }

    ca = calloc(1, sizeof(rush_cashier_t));
    if (ca == NULL) {
        return RUSH_DB_DOWN;
    }

    ca->daemon = d;
    ca->db = db;

    rc = rush_cashier_apply(ca, &told, what);

    rush_buf_free(&ca->json);
    free(ca);

    if (rc == RUSH_OK) {
        *what = "applied";
    }

    return rc == RUSH_DB_DATA ? RUSH_ERROR : rc;
}


int
rush_cashier_told(const redisReply *fields, rush_told_t *told,
    const char **cause)
{
    rush_str_t  provider, kind, received;

    memset(told, 0, sizeof(rush_told_t));

    if (rush_cashier_field(fields, "p", &provider, 16) != RUSH_OK
        || rush_cashier_field(fields, "k", &kind, 16) != RUSH_OK
        || rush_cashier_field(fields, "n", &told->key, RUSH_NOTICE_ID)
           != RUSH_OK
        || rush_cashier_field(fields, "b", &told->body, RUSH_NOTICE_BODY)
           != RUSH_OK
        || rush_cashier_field(fields, "r", &received, 20) != RUSH_OK)
    {
        *cause = "a field is missing, empty or too long";
        return RUSH_ERROR;
    }

    told->provider = rush_provider_find((char *) provider.data, provider.len);
    told->kind = rush_str_is(&kind, RUSH_NOTICE_PAY) ? RUSH_NOTICE_PAY
                 : rush_str_is(&kind, RUSH_NOTICE_REFUND) ? RUSH_NOTICE_REFUND
                 : NULL;

    if (told->provider == 0 || told->kind == NULL) {
        *cause = "unknown provider or kind";
        return RUSH_ERROR;
    }

    if (rush_parse_u63(received.data, received.len, &told->received_ms)
        != RUSH_OK)
    {
        *cause = "received at no time";
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_cashier_field(const redisReply *fields, const char *name, rush_str_t *s,
    size_t max)
{
    const redisReply  *field;

    field = rush_reply_find(fields, name);

    if (field == NULL || field->type != REDIS_REPLY_STRING || field->len == 0
        || (size_t) field->len > max)
    {
        return RUSH_ERROR;
    }

    s->data = (unsigned char *) field->str;
    s->len = (size_t) field->len;

    return RUSH_OK;
}


int
rush_cashier_apply(rush_cashier_t *ca, const rush_told_t *told,
    const char **cause)
{
    int  rc;

    *cause = "mysql refuses it";

    if (rush_cashier_copy(ca, &told->body) != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    /* a copy for each look, since readers decode in place */

    if (strcmp(told->kind, RUSH_NOTICE_REFUND) == 0
        || rush_pay_is_refund(told->provider, ca->json.data, told->body.len))
    {
        rc = rush_cashier_refund(ca, told, cause);

    } else {
        rc = rush_cashier_pay(ca, told, cause);
    }

    /* names of buyers are in it */

    explicit_bzero(ca->json.data, ca->json.len);

    return rc;
}


static int
rush_cashier_copy(rush_cashier_t *ca, const rush_str_t *body)
{
    rush_buf_reset(&ca->json);
    rush_buf_add(&ca->json, body->data, body->len);

    if (ca->json.failed) {
        rush_log(RUSH_LOG_ERROR, "cashier: no memory for a notice");
        rush_buf_free(&ca->json);
        return RUSH_ERROR;
    }

    return RUSH_OK;
}


static int
rush_cashier_pay(rush_cashier_t *ca, const rush_told_t *told,
    const char **cause)
{
    rush_pay_facts_t  facts;

    memset(&facts, 0, sizeof(rush_pay_facts_t));

    if (rush_cashier_copy(ca, &told->body) != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    facts.provider = told->provider;
    facts.kind = told->kind;
    facts.key = told->key;
    facts.body = told->body;
    facts.received_ms = told->received_ms;
    facts.again = told->again;

    if (rush_pay_facts(&facts, told->provider, ca->json.data, ca->json.len,
                       cause)
        != RUSH_OK)
    {
        return RUSH_DB_DATA;
    }

    return rush_pay_apply(ca->daemon, ca->db, &facts, NULL);
}


static int
rush_cashier_refund(rush_cashier_t *ca, const rush_told_t *told,
    const char **cause)
{
    rush_refund_facts_t  facts;

    memset(&facts, 0, sizeof(rush_refund_facts_t));

    if (rush_cashier_copy(ca, &told->body) != RUSH_OK) {
        return RUSH_DB_DOWN;
    }

    facts.provider = told->provider;
    facts.kind = RUSH_NOTICE_REFUND;
    facts.key = told->key;
    facts.body = told->body;
    facts.received_ms = told->received_ms;
    facts.again = told->again;

    if (rush_refund_facts(&facts, told->provider, ca->json.data,
                          ca->json.len, cause)
        != RUSH_OK)
    {
        return RUSH_DB_DATA;
    }

    return rush_refund_apply(ca->daemon, ca->db, &facts, NULL);
}


static int
rush_cashier_dead(rush_cashier_t *ca, const redisReply *entry,
    const char *cause)
{
    int         rc;
    rush_str_t  id;

    id.data = (unsigned char *) entry->element[0]->str;
    id.len = (size_t) entry->element[0]->len;

    rc = rush_db_begin(ca->db);

    if (rc == RUSH_OK) {
        rc = rush_dead_entry(&ca->store, RUSH_PAY_LETTER, &id,
                             entry->element[1], cause);
    }

    if (rc == RUSH_OK) {
        rc = rush_alarm(ca->daemon, ca->db, "pay_dead_letter",
                        RUSH_PAY_LETTER, "entry %s: %s",
                        entry->element[0]->str, cause);
    }

    if (rc == RUSH_OK) {
        rc = rush_db_commit(ca->db);
    }

    if (rc != RUSH_OK) {
        rush_db_rollback(ca->db);
    }

    return rc;
}


int
rush_cashier_lost(rush_cashier_t *ca, const char *id)
{
    rush_stat_add(ca->daemon, entries_lost, 1);

    return rush_alarm(ca->daemon, ca->db, "entry_lost", RUSH_PAY_LETTER,
                      "entry %s of " RUSH_NOTICE_KEY " has no body", id);
}
