// ComfyUI's extra_model_paths.yaml: folders of other programs. Every member of the file is a section with a base_path,
// is_default, and for each kind of file one path or several lines of paths.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "source/catalog/model_folders.h"

namespace tempera {

// `what` names the file in messages. Relative base paths start at `folder`. In a base path, "~" is the home folder, and
// $NAME and ${NAME} are environment variables. Folders of sections with is_default are first. Sections' folders of
// other content (custom_nodes) are left out. Folders need not be there. Throws Error(bad_file, "'<what>' line N: ...").
std::vector<ModelFolder> parse_import_paths(std::string_view text, std::string_view what,
                                            const std::filesystem::path& folder);

// The same for a file, without folders that are not there: the file lists all kinds, and few people have all of them.
std::vector<ModelFolder> read_import_paths(const std::filesystem::path& file);

}  // namespace tempera
