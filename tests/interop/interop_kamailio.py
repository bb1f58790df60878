# SPDX-License-Identifier: Apache-2.0
"""Kamailio as Debian ships it: a registrar with digest, or a hop before or behind our proxy."""

from pathlib import Path

from interop_process import Program, free_port, require

COMMON = """\
#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=2
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
alias="{domain}"
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("rr", "append_fromtag", 0)
"""

REGISTRAR = """
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not here"); exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{domain}", "{password}", "0")) {{ www_challenge("{domain}", "0"); exit; }}
        save("location");
        exit;
    }}
    if (is_method("INVITE|MESSAGE")) {{
        if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{ proxy_challenge("{domain}", "0"); exit; }}
        consume_credentials();
        record_route();
    }}
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"""

RELAY = """
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    remove_hf("Route");
    record_route();
    $ru = "sip:" + $rU + "@{next_domain}";
    $du = "sip:{next_hop}";
    t_relay();
}}
"""


class Kamailio:
    """A running Kamailio; `address` is its host:port."""

    def __init__(
        self,
        folder: Path,
        *,
        domain: str = "kamailio.test",
        password: str = "secret",
        next_hop: str = "",
        next_domain: str = "",
    ) -> None:
        program = require("kamailio", "kamailio")
        folder.mkdir(parents=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.domain = domain
        modules = next(str(path.parent) for path in Path("/usr/lib").glob("**/kamailio/modules/tm.so"))
        route = RELAY if next_hop else REGISTRAR
        config = folder / "kamailio.cfg"
        config.write_text(
            (COMMON + route).format(
                port=self.port,
                domain=domain,
                password=password,
                next_hop=next_hop,
                next_domain=next_domain,
                modules=modules,
            )
        )
        self.program = Program(
            [program, "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(folder)],
            folder / "log",
        )
        self.program.wait_for(r"Listening on|udp: 127", 10)

    def stop(self) -> None:
        self.program.stop()
