#include "source/adapters.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "source/adapter_name.h"
#include "source/locate.h"
#include "source/model_adapter.h"
#include "source/unet_source.h"
#include "weights/made.h"

namespace tempera {
namespace {

constexpr double kMostWeight = 100;

double weight_of(std::string_view text, std::string_view whole) {
  double weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  if (!is_number || !(std::abs(weight) <= kMostWeight))
    fail(ErrorCode::invalid_argument,
         "{} is '{}': give a file or a name, then weights from -100 to 100 after colons, such as style:0.8",
         FieldName{"lora"}, whole);
  return weight;
}

// The names of some of the tensors, for a warning.
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::vector<std::string> quoted;
  for (const std::string& name : std::span(names).first(std::min(names.size(), kMost)))
    quoted.push_back(in_quotes(name));
  return fmt::format("{}{}", fmt::join(quoted, ", "), names.size() > kMost ? ", ..." : "");
}

}  // namespace

std::string AdapterUse::text() const {
  // After a name with a colon, both weights are necessary to find the end of the name (split_adapter_name).
  const bool one = text_weight == unet_weight && adapter->label.find(':') == std::string::npos;
  return one ? fmt::format("{}:{}", adapter->label, unet_weight)
             : fmt::format("{}:{}:{}", adapter->label, unet_weight, text_weight);
}

std::vector<AdapterUse> Adapters::open(const EngineOptions& engine, std::span<const std::string> lora) {
  std::vector<AdapterUse> uses;
  for (const std::string& text : lora) {
    const AdapterName name = split_adapter_name(text, 2);
    AdapterUse use;
    if (!name.parts.empty()) use.text_weight = use.unet_weight = weight_of(name.parts[0], text);
    if (name.parts.size() > 1) use.text_weight = weight_of(name.parts[1], text);
    use.adapter = opened(locate(engine, FileKind::lora, name.file));
    uses.push_back(std::move(use));
  }
  return uses;
}

size_t Adapters::host_bytes() const {
  if (!names_) return 0;
  size_t entries = names_->parameters().size();
  for (const Known& known : known_)
    for (const auto& [component, changes] : known.adapter->changes) entries += changes->by_parameter.size();
  return entries * 2048;
}

Adapters::FileState Adapters::state_of(const std::filesystem::path& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return {};  // opening it gives the error
  return {file.st_dev, file.st_ino, static_cast<uint64_t>(file.st_size),
          file.st_mtim.tv_sec * int64_t{1'000'000'000} + file.st_mtim.tv_nsec};
}

std::shared_ptr<const Adapter> Adapters::opened(const std::filesystem::path& path) {
  const FileState state = state_of(path);
  const auto known = std::ranges::find_if(
      known_, [&](const Known& candidate) { return candidate.adapter->path == path && candidate.state == state; });
  if (known != known_.end()) {
    std::rotate(known_.begin(), known, known + 1);
    return known_.front().adapter;
  }
  if (!names_) names_.emplace(adapter_parameters(model_));
  AdapterFile file = open_model_adapter(path, *names_);
  auto adapter = std::make_shared<Adapter>();
  adapter->path = path;
  adapter->label = model_label(path);
  adapter->matched = file.matched;
  adapter->unmatched = std::move(file.unmatched);
  if (const auto hash = file.metadata.find("sshs_model_hash"); hash != file.metadata.end())
    adapter->tensor_hash = hash->second;
  const uint64_t identity = ++opened_;
  std::map<std::string, std::shared_ptr<AdapterChanges>, std::less<>> changes;
  for (AdapterLayer& layer : file.layers) {
    std::shared_ptr<AdapterChanges>& component = changes[layer.parameter.component];
    if (!component) component = std::make_shared<AdapterChanges>();
    component->identity = identity;
    component->by_parameter.emplace(layer.parameter.name, make_change(layer));
  }
  adapter->changes.insert(changes.begin(), changes.end());
  for (auto& [word, tensors] : file.embeddings) {
    const std::string what = fmt::format("{} (embedding of {})", path.string(), in_quotes(word));
    const MadeCheckpoint embedding({tensors.begin(), tensors.end()}, what);
    adapter->words.push_back(read_word_embedding(embedding, what, "", word, model_));
  }
  if (!adapter->unmatched.empty() && log_)
    log_(LogLevel::warning,
         fmt::format("{} of the {} tensors in '{}' match nothing in this model: {}", adapter->unmatched.size(),
                     adapter->matched + adapter->unmatched.size(), path.string(), some_of(adapter->unmatched)));
  known_.push_front({state, std::move(adapter)});
  if (known_.size() > kMostKnown) known_.pop_back();
  return known_.front().adapter;
}

std::vector<PatchedCheckpoint::Use> changes_of(std::span<const AdapterUse> uses, std::string_view component) {
  std::vector<PatchedCheckpoint::Use> changes;
  for (const AdapterUse& use : uses) {
    const auto found = use.adapter->changes.find(component);
    if (found == use.adapter->changes.end()) continue;
    changes.push_back({found->second, static_cast<float>(component == kUnet ? use.unet_weight : use.text_weight)});
  }
  return changes;
}

void AdaptedComponents::wrap(ModelSource& model) {
  for (const char* name : {"unet", "text_encoder", "text_encoder_2"}) {
    const auto component = model.components.find(name);
    if (component == model.components.end() || patched_.contains(name)) continue;
    auto patched = std::make_shared<PatchedCheckpoint>(component->second.weights);
    component->second.weights = patched;
    patched_.emplace(name, std::move(patched));
  }
  set(std::exchange(uses_, {}));
}

void AdaptedComponents::set(std::span<const AdapterUse> uses) {
  if (std::ranges::equal(uses, uses_) && !uses_.empty()) return;
  uses_.assign(uses.begin(), uses.end());
  for (const auto& [component, patched] : patched_) patched->set(changes_of(uses_, component));
}

}  // namespace tempera
