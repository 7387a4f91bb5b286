#include "plan_output.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "units.h"

namespace tempera::cli {

std::string plan_table(const Plan& plan) {
  std::string text = fmt::format(
      "model      {}\ndevice     {}, {}\npicture    {}x{}\nscheduler  {}\ndecoder    {}\nparameters {}\n\n", plan.model,
      plan.device, plan.dtype, plan.width, plan.height, plan.scheduler, plan.decoder, plan.residency);
  const auto row = [&text](const auto&... cells) {
    text += fmt::format("{:<16}{:>6}{:>10}{:>14}{:>14}{:>12}{:>13}{:>12}{:>12}{:>12}\n", cells...);
  };
  row("stage", "runs", "kernels", "once", "per run", "weights", "activations", "stream", "kept", "io");
  for (const StagePlan& stage : plan.stages) {
    row(stage.name, stage.runs, stage.steps, format_flops(stage.flops_prologue), format_flops(stage.flops),
        format_bytes(static_cast<double>(stage.weights)), format_bytes(static_cast<double>(stage.activations)),
        format_bytes(static_cast<double>(stage.stream)), format_bytes(static_cast<double>(stage.kept)),
        format_bytes(static_cast<double>(stage.io)));
  }
  const auto bytes = [](size_t count) { return format_bytes(static_cast<double>(count)); };
  const MemoryPlan& memory = plan.memory;
  text += fmt::format("\narithmetic  {}\n", format_flops(plan.flops));
  text +=
      fmt::format("memory      {} at the peak: weights {}, activations {}, stream {}, kept {}, io {}, overhead {}\n",
                  bytes(memory.peak_bytes), bytes(memory.weights), bytes(memory.activations), bytes(memory.stream),
                  bytes(memory.kept), bytes(memory.io), bytes(memory.overhead));
  if (memory.pinned_bytes > 0)
    text += fmt::format("host        {} locked for parameters that are copied in, unless --pinned-memory allows less\n",
                        bytes(memory.pinned_bytes));
  for (const BudgetChoice& choice : plan.choices)
    text += fmt::format("{}{:>10}  {}\n", choice.fits ? "  fits     " : "  too much ", bytes(choice.peak_bytes),
                        choice.mode);
  return text;
}

nlohmann::ordered_json plan_json(const Plan& plan) {
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const StagePlan& stage : plan.stages) {
    stages.push_back({{"name", stage.name},
                      {"runs", stage.runs},
                      {"steps", stage.steps},
                      {"prologue", stage.prologue},
                      {"flops", stage.flops},
                      {"flops_prologue", stage.flops_prologue},
                      {"weights", stage.weights},
                      {"activations", stage.activations},
                      {"stream", stage.stream},
                      {"kept", stage.kept},
                      {"copied", stage.copied},
                      {"io", stage.io}});
  }
  nlohmann::ordered_json json = {{"model", plan.model},
                                 {"device", plan.device},
                                 {"dtype", plan.dtype},
                                 {"width", plan.width},
                                 {"height", plan.height},
                                 {"scheduler", plan.scheduler},
                                 {"decoder", plan.decoder},
                                 {"peak_bytes", plan.memory.peak_bytes},
                                 {"pinned_bytes", plan.memory.pinned_bytes},
                                 {"memory",
                                  {{"weights", plan.memory.weights},
                                   {"activations", plan.memory.activations},
                                   {"stream", plan.memory.stream},
                                   {"kept", plan.memory.kept},
                                   {"io", plan.memory.io},
                                   {"overhead", plan.memory.overhead}}},
                                 {"residency", plan.residency},
                                 {"flops", plan.flops},
                                 {"stages", stages}};
  if (!plan.choices.empty()) {
    nlohmann::ordered_json& choices = json["choices"] = nlohmann::ordered_json::array();
    for (const BudgetChoice& choice : plan.choices)
      choices.push_back({{"mode", choice.mode}, {"peak_bytes", choice.peak_bytes}, {"fits", choice.fits}});
  }
  if (!plan.listing.empty()) json["listing"] = plan.listing;
  return json;
}

}  // namespace tempera::cli
