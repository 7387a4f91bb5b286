// Hashes of model files that are already known: a SQLite database in the user's cache folder. A row is valid for a
// file's device, inode, size and time of change, so a file that is replaced or written has no hash until it is computed
// again. Several processes may use it at the same time. An error of the database is never an error of the caller: the
// hash is then unknown.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "source/catalog/sha256.h"

namespace tempera {

// tempera/hashes.sqlite in the user's cache folder; empty if there is none.
std::filesystem::path hash_database();

// The SHA-256 of the file, 64 hexadecimal digits, if it was computed before. Reads no byte of the file.
std::optional<std::string> known_hash(const std::filesystem::path& file);

// The known hash, or else computes and stores it. Throws as sha256_of_file, and Error(io) if the file changes
// meanwhile.
std::string hash_of(const std::filesystem::path& file, const HashCallbacks& callbacks = {});

// Computes and stores it also if it is known: to find out whether the bytes on the disk are still the same.
std::string computed_hash(const std::filesystem::path& file, const HashCallbacks& callbacks = {});

std::string sqlite_library_version();  // "3.40.1"

}  // namespace tempera
