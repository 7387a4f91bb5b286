// The commands of `tempera`, one file each. Every add_ function declares its options on `app` and returns the function
// to run after parsing. That one returns the exit status or throws (Error for expected failures).
#pragma once

#include <functional>
#include <map>

namespace CLI {
class App;
}

namespace tempera::cli {

using Run = std::function<int()>;

// The functions to run, by command.
using Commands = std::map<const CLI::App*, Run>;

// The default prompt of `tempera bench`.
inline constexpr const char* kBenchPrompt = "a photo of an astronaut riding a horse on mars";

// Adds `name` to `app`, which is the program or a command that has commands of its own. Both arguments must live until
// the command has run. `declare` is called when the arguments name the command. Arguments that neither the
// command nor its options accept are left over for refuse_left_over.
void add_command(CLI::App& app, Commands& commands, const char* name, const char* description,
                 Run (*declare)(CLI::App&));

// The command of `app` that the arguments named, or null.
const CLI::App* parsed_command(const CLI::App& app);

// Throws Error(invalid_argument) when there is none.
int run_parsed_command(const CLI::App& app, const Commands& commands);

Run add_bench(CLI::App& app);
Run add_bench_algorithms(CLI::App& app);
Run add_bench_ops(CLI::App& app);
Run add_bench_table(CLI::App& app);
Run add_bench_trace(CLI::App& app);
Run add_convert(CLI::App& app);
Run add_encode(CLI::App& app);
Run add_generate(CLI::App& app);
Run add_info(CLI::App& app);
Run add_models(CLI::App& app);
Run add_plan(CLI::App& app);
Run add_synth(CLI::App& app);

}  // namespace tempera::cli
