/*
 * Copyright (C) Rush
 *
 * HIT(NAME) counts how often the search came by.  The counters are no part of
 * a state; pan prints those above 0 when it ends.
 */

c_decl {
    typedef struct hit_s  hit_t;

    struct hit_s {
        const char     *name;
        unsigned long   n;
        hit_t          *next;
    };

    static hit_t  *hits;

    static void
    hit(hit_t *h)
    {
        if (h->n++ == 0) {
            h->next = hits;
            hits = h;
        }
    }

    static void __attribute__((destructor))
    hits_print(void)
    {
        for ( /* void */ ; hits; hits = hits->next) {
            printf("hit %s %lu\n", hits->name, hits->n);
        }
    }
}

#define HIT(id)  c_code { static hit_t h = { #id, 0, 0 }; hit(&h); }
