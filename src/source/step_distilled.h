// Models that were distilled to few steps (Turbo, Lightning, Hyper-SD, LCM, DMD2, TCD), and the defaults that fit them.
// The metadata of the file, the UNet and the scheduler show the kind; the name of the file is used only if they do not.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "models/config.h"
#include "source/model_source.h"

namespace tempera {

struct StepDistilled {
  std::string_view kind;       // "Turbo"
  int steps = 4;               // 1 to 50
  double guidance_scale = 1;   // 1: off
  std::string_view scheduler;  // the class of diffusers with which the model was published
  bool from_name = false;      // only the name of the file shows it

  bool operator==(const StepDistilled&) const = default;
};

// `scheduler`: the class of the scheduler that the model comes with, empty for none. Nothing for other models.
std::optional<StepDistilled> step_distilled(const Checkpoint& unet, const UnetConfig& config,
                                            std::string_view scheduler, std::string_view name);

// Sets the defaults of `source` for such a model. `path`: the file or folder of the UNet. own_scheduler: the UNet comes
// with a scheduler, which stays; otherwise its published one replaces the default, with trailing timesteps. The log
// says so if only the name of the file shows the kind.
void set_step_distilled_defaults(ModelSource& source, const Checkpoint& unet, const std::filesystem::path& path,
                                 bool own_scheduler, const LogSink& log);

}  // namespace tempera
