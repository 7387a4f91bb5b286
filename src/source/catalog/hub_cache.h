// The cache of the Hugging Face hub, read offline:
//   models--ORG--NAME/{refs/<revision>, snapshots/<commit>/..., blobs/<hash>}
// refs/<revision> has the name of a commit. Files of a snapshot are symbolic links into blobs, or the files themselves
// where the system has no links. Layout: the documentation of huggingface_hub, "Understand caching".
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tempera {

struct HubName {
  std::string repository;         // "stabilityai/stable-diffusion-xl-base-1.0"
  std::string revision = "main";  // a branch, a tag or a commit
  bool operator==(const HubName&) const = default;
};

// "org/name" or "org/name@revision"; nothing for other texts.
std::optional<HubName> parse_hub_name(std::string_view text);

// HF_HUB_CACHE, else HF_HOME/hub, else huggingface/hub in the user's cache folder. Empty if none of them is known.
std::filesystem::path hub_cache();

// Whether the cache has any revision of it.
bool is_in_hub(const HubName& name, const std::filesystem::path& cache);

// All revisions of all repositories in the cache, sorted: branches and tags, then snapshots that none of them has.
std::vector<HubName> hub_names(const std::filesystem::path& cache);

// Whether any snapshot of it has a model_index.json.
bool is_diffusers_repository(const HubName& name, const std::filesystem::path& cache);

// For the folder of a repository in a cache (models--ORG--NAME, with snapshots): its name. Nothing for other paths.
std::optional<HubName> hub_repository(const std::filesystem::path& folder);

// The snapshot of a model or of one component: its folder, or its only .safetensors file if it has no configuration.
// Throws Error(bad_file) in these cases:
//   - The model or the revision is not in the cache. The message has the command that fetches it.
//   - The snapshot is incomplete. The message lists the missing files: by model_index.json, the configuration and the
//     weights (files or index with all shards) of each component.
//   - A file of the snapshot is a symbolic link to another place than blobs.
std::filesystem::path find_in_hub(const HubName& name, const std::filesystem::path& cache);

// "org/name@commit" for a folder or file in a snapshot of such a cache; nothing for other paths. It depends on the path
// alone.
std::optional<std::string> hub_name_of(const std::filesystem::path& path);

}  // namespace tempera
