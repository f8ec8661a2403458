/* Records `count` events by one of the native ways, as the engine's block hook does. */
#include "ring.h"

uint64_t sink;

void emit_loop(const struct trace_api *api, PyObject *hook, uint64_t count, int fast)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t args[2] = {i, 0xffffffff81000000u + i};
        if (hook_enabled(hook)) {
            if (fast)
                api->emit_fast(hook, 2, args);
            else
                api->emit(hook, 2, args);
        } else {
            sink += args[1];
        }
    }
}
