
/*
 * Copyright (C) Rush
 */


#include "rush_permissions.h"


const rush_permission_t  rush_permissions[] = {
#define RUSH_PERMISSION_ROW(name, bit, text)                                  \
    { rush_string(#name), bit, text },
    RUSH_PERMISSIONS(RUSH_PERMISSION_ROW)
#undef RUSH_PERMISSION_ROW
};

const unsigned  rush_npermissions = sizeof(rush_permissions)
                                    / sizeof(rush_permission_t);


int
rush_permission_find(const rush_str_t *name)
{
    unsigned  i;

    for (i = 0; i < rush_npermissions; i++) {

        if (rush_permissions[i].name.len == name->len
            && memcmp(rush_permissions[i].name.data, name->data, name->len)
               == 0)
        {
            return (int) rush_permissions[i].bit;
        }
    }

    return -1;
}
