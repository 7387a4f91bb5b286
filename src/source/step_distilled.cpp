#include "source/step_distilled.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <vector>

#include "source/marks.h"

namespace tempera {
namespace {

// Words of a text in lower case. They end at other characters than letters and digits, between letters and digits, and
// where upper-case letters show it: "juggXILightning" has the words jugg, xi and lightning.
std::vector<std::string> words_of(std::string_view text) {
  enum class Kind { other, lower, upper, digit };
  const auto kind_of = [](unsigned char c) {
    if (std::isdigit(c) != 0) return Kind::digit;
    if (std::islower(c) != 0) return Kind::lower;
    return std::isupper(c) != 0 ? Kind::upper : Kind::other;
  };
  std::vector<std::string> words;
  Kind before = Kind::other;
  for (const char c : text) {
    const Kind kind = kind_of(static_cast<unsigned char>(c));
    const bool after_capital = before == Kind::upper && kind == Kind::lower;
    if (after_capital && words.back().size() > 1) {
      const char capital = words.back().back();
      words.back().pop_back();
      words.emplace_back(1, capital);
    }
    if (kind != Kind::other && kind != before && !after_capital) words.emplace_back();
    if (kind != Kind::other) words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    before = kind;
  }
  return words;
}

struct Row {
  std::string_view word;
  bool is_whole_word;  // otherwise words that begin with it count: "turbovision"
  StepDistilled defaults;
};

// The published schedulers; guidance is off, as the models were trained.
constexpr std::array kRows = {
    Row{"lightning", false, {"Lightning", 4, 1, "EulerDiscreteScheduler"}},
    Row{"turbo", false, {"Turbo", 4, 1, "EulerAncestralDiscreteScheduler"}},
    Row{"dmd", true, {"DMD2", 4, 1, "LCMScheduler"}},
    Row{"tcd", true, {"TCD", 4, 1, "TCDScheduler"}},
    Row{"lcm", true, {"LCM", 4, 1, "LCMScheduler"}},
    Row{"hyper", true, {"Hyper-SD", 8, 1, "DDIMScheduler"}},
};

// "Hyper" alone is a usual word in names ("hyper realistic"), so the model's full name counts: "Hyper-SDXL".
bool is_hyper_sd(const std::vector<std::string>& words, size_t at) {
  return at + 1 < words.size() && words[at + 1].starts_with("sd");
}

std::optional<StepDistilled> by_words(std::string_view text) {
  const std::vector<std::string> words = words_of(text);
  for (const Row& row : kRows)
    for (size_t i = 0; i < words.size(); ++i) {
      if (row.is_whole_word ? words[i] != row.word : !words[i].starts_with(row.word)) continue;
      if (row.word == "hyper" && !is_hyper_sd(words, i)) continue;
      StepDistilled found = row.defaults;
      // "sdxl_lightning_8step", "Hyper-SDXL-2steps"
      for (size_t k = 1; k < words.size(); ++k)
        if (words[k].starts_with("step") && words[k - 1].size() <= 2 && std::isdigit(words[k - 1][0]) != 0)
          if (const int steps = std::stoi(words[k - 1]); steps >= 1 && steps <= 50) found.steps = steps;
      return found;
    }
  return std::nullopt;
}

// SDXL's noise levels with another class of scheduler. LCM and TCD have their own spacing.
std::string published_scheduler(nlohmann::json scheduler, std::string_view class_name) {
  scheduler["_class_name"] = class_name;
  if (class_name == "LCMScheduler" || class_name == "TCDScheduler") {
    scheduler.erase("timestep_spacing");
  } else {
    scheduler["timestep_spacing"] = "trailing";
  }
  return scheduler.dump(2);
}

}  // namespace

std::optional<StepDistilled> step_distilled(const Checkpoint& unet, const UnetConfig& config,
                                            std::string_view scheduler, std::string_view name) {
  // LCM's UNets embed the guidance scale; they were published with 8.
  if (config.time_cond_proj_dim > 0) return StepDistilled{"LCM", 4, 8, "LCMScheduler"};
  if (scheduler == "LCMScheduler") return by_words("lcm");
  if (scheduler == "TCDScheduler") return by_words("tcd");
  for (const char* key : {"modelspec.title", "modelspec.architecture", "modelspec.tags", "modelspec.description"})
    if (const auto at = unet.metadata().find(key); at != unet.metadata().end())
      if (const auto found = by_words(at->second)) return found;
  auto found = by_words(name);
  if (found) found->from_name = true;
  return found;
}

void set_step_distilled_defaults(ModelSource& source, const Checkpoint& unet, const std::filesystem::path& path,
                                 bool own_scheduler, const LogSink& log) {
  const nlohmann::json scheduler = scheduler_object(source.scheduler_config);
  std::string class_name;
  if (const auto at = scheduler.find("_class_name"); at != scheduler.end() && at->is_string())
    class_name = at->get<std::string>();
  if (class_name.starts_with("EDM")) return;
  const std::string name = path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  const auto found = step_distilled(unet, source.config.unet, own_scheduler ? class_name : "", name);
  if (!found) return;
  source.defaults.num_inference_steps = found->steps;
  source.defaults.guidance_scale = found->guidance_scale;
  if (!own_scheduler) source.scheduler_config = published_scheduler(scheduler, found->scheduler);
  if (found->from_name && log)
    log(LogLevel::warning, fmt::format("'{}' is a {} model by its name: the defaults are {} steps without guidance",
                                       name, found->kind, found->steps));
}

}  // namespace tempera
