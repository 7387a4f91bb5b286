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

// What to do, by command.
using Commands = std::map<const CLI::App*, Run>;

// What `tempera bench` draws without a prompt.
inline constexpr const char* kBenchPrompt = "a photo of an astronaut riding a horse on mars";

// Adds `name` to `app`, the program or a command that has commands of its own. What neither it nor its options claim is
// left over for refuse_left_over.
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
Run add_encode(CLI::App& app);
Run add_generate(CLI::App& app);
Run add_info(CLI::App& app);
Run add_models(CLI::App& app);
Run add_plan(CLI::App& app);
Run add_synth(CLI::App& app);

}  // namespace tempera::cli
