cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/rush_lua.h:	$ngx_addon_dir/tools/embed.pl \\
	`ls $ngx_addon_dir/*/lua/*.lua | tr '\n' ' '`
	perl $ngx_addon_dir/tools/embed.pl lua rush \$@ \\
		$ngx_addon_dir/*/lua/*.lua

END

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/rush_openapi.h:	$ngx_addon_dir/tools/embed.pl \\
		$ngx_addon_dir/docs/openapi.json
	perl $ngx_addon_dir/tools/embed.pl text rush_openapi \$@ \\
		$ngx_addon_dir/docs/openapi.json

END

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/ngx_rush_sql.h:	$ngx_addon_dir/tools/embed.pl \\
		$ngx_addon_dir/shared/core.sql
	perl $ngx_addon_dir/tools/embed.pl sql ngx_rush \$@ \\
		$ngx_addon_dir/shared/core.sql

END

for ngx_rush in $NGX_RUSH_MODULES
do
    cat << END                                                >> $NGX_MAKEFILE

$NGX_OBJS/ngx_${ngx_rush}_sql.h:	$ngx_addon_dir/tools/embed.pl \\
	`ls $ngx_addon_dir/ngx_${ngx_rush}_module/*.sql | tr '\n' ' '`
	perl $ngx_addon_dir/tools/embed.pl sql ngx_${ngx_rush} \$@ \\
		$ngx_addon_dir/ngx_${ngx_rush}_module/*.sql

END
done
