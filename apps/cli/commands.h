// The commands of `tempera`, one file each. Every add_ function declares its options on `app` and returns what to do
// once they are parsed: the exit status, or an exception (Error for what went wrong in a way that has a name).
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace tempera::cli {

using Run = std::function<int()>;

Run add_encode(CLI::App& app);
Run add_generate(CLI::App& app);
Run add_info(CLI::App& app);
Run add_plan(CLI::App& app);
Run add_synth(CLI::App& app);

}  // namespace tempera::cli
