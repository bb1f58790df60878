import time, json
from test_calls_from_outside import only_call
from interop_ringback import Ringback
from interop_rig import PASSWORD
def hears(page, f):
    try:
        page.wait_hears(f, 6); return True
    except AssertionError as e: return str(e)[-120:]
def test_always(rig, browser):
    server = rig.ringback(config='[media]\nanchor = "always"\n')
    for n in ("101","102"): server.add_user(n, n, PASSWORD)
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer")
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    print("before", hears(anna, 900), hears(bob, 500))
    call = only_call(server)["id"]
    server.run("calls", "record", call)
    time.sleep(1)
    print("recording", hears(anna, 900), hears(bob, 500))
    server.run("calls", "record", call, "--stop")
    print("after", hears(anna, 900), hears(bob, 500))
    assert 0
def test_later(rig, server, browser):
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer")
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    print("before", hears(anna, 900), hears(bob, 500))
    call = only_call(server)["id"]
    server.run("calls", "record", call)
    time.sleep(2)
    print("recording", hears(anna, 900), hears(bob, 500))
    server.run("calls", "record", call, "--stop")
    print("after", hears(anna, 900), hears(bob, 500))
    for leg in json.loads(server.run("calls","show",call,"--json"))["legs"]: print(leg["name"], leg["suite"], leg["media_address"], leg["streams"])
    assert 0
