// The one place where the name of a model becomes a path: for `model`, and for every other option that names a file of
// weights.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "source/catalog/model_folders.h"
#include "source/classify.h"

namespace tempera {

// The first of these that `name` is:
//   1. a path: of a file or folder that exists, or a text that begins with /, ./, ../ or ~/
//   2. a name in `folders`: the path relative to its folder, with or without the extension; the file name; the stem; in
//      each case in any case of letters, and with A1111's " [0123456789]", the beginning of the file's hash, after it;
//      or the hash alone (10 to 64 hexadecimal digits), if it is known
//   3. "org/name[@revision]" in the cache of the Hugging Face hub
// A name of several files is that of the file of this kind. If two folders have the same relative path, the first
// folder decides. Throws Error(bad_file) in these cases:
//   - There is no such model. The message has the nearest name, or the command that fetches a model of the hub.
//   - Several files have the name. The message lists them.
//   - The hash after a name is not that of the file. It is computed if it is not known.
//   - As find_in_hub does.
// Kinds are read from headers, and only if there is a choice: the code that opens the file has to check its kind.
std::filesystem::path locate(const ModelFolders& folders, FileKind kind, std::string_view name);

// The same in the folders of the options. They are not read for a path.
std::filesystem::path locate(const EngineOptions& options, FileKind kind, std::string_view name);

// The name of an opened model in the settings text of a picture: the stem of a file, the name of a folder, and
// "org/name@commit" for a snapshot of the hub.
std::string model_label(const std::filesystem::path& model);

// `label` if locate() finds the file or folder `model` by it in these folders. Otherwise the path relative to its
// folder, if locate() finds it by that. Otherwise `label`.
std::string name_in(const ModelFolders& folders, FileKind kind, const std::filesystem::path& model,
                    const std::string& label);

}  // namespace tempera
