#include "source/catalog/hash_store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <memory>
#include <tuple>

#include "base/error.h"
#include "base/user_folders.h"

namespace tempera {
namespace fs = std::filesystem;

namespace {

// What must be the same for a stored hash to be that of the file.
struct FileKey {
  int64_t device = 0, inode = 0, size = 0, changed = 0;  // changed: nanoseconds since 1970
  bool operator==(const FileKey&) const = default;
};

std::optional<FileKey> key_of(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return FileKey{static_cast<int64_t>(status.st_dev), static_cast<int64_t>(status.st_ino), status.st_size,
                 status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

struct Closer {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Closer>;
using Statement = std::unique_ptr<sqlite3_stmt, Closer>;

constexpr int kWaitMilliseconds = 2000;  // for another process that writes its row

Database open_database(const fs::path& file, int flags) {
  sqlite3* opened = nullptr;
  const int status = sqlite3_open_v2(file.c_str(), &opened, flags | SQLITE_OPEN_FULLMUTEX, nullptr);
  Database database(opened);  // also after an error
  if (status != SQLITE_OK) return nullptr;
  sqlite3_busy_timeout(database.get(), kWaitMilliseconds);
  return database;
}

// The statement with the numbers of `key` as its first parameters; null after an error.
Statement prepare(sqlite3* database, const char* sql, const FileKey& key) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &prepared, nullptr) != SQLITE_OK) return nullptr;
  Statement statement(prepared);
  int at = 0;
  for (const int64_t number : {key.device, key.inode, key.size, key.changed})
    sqlite3_bind_int64(statement.get(), ++at, number);
  return statement;
}

std::optional<std::string> look_up(const FileKey& key) {
  const fs::path file = hash_database();
  std::error_code ignored;
  if (file.empty() || !fs::exists(file, ignored)) return std::nullopt;
  const Database database = open_database(file, SQLITE_OPEN_READONLY);
  if (!database) return std::nullopt;
  const Statement statement = prepare(
      database.get(), "SELECT sha256 FROM hashes WHERE device = ? AND inode = ? AND size = ? AND changed = ?", key);
  if (!statement || sqlite3_step(statement.get()) != SQLITE_ROW) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
  const std::string hash = text == nullptr ? "" : text;
  const bool valid = hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == hash.npos;
  return valid ? std::optional(hash) : std::nullopt;
}

bool write_row(const fs::path& file, const FileKey& key, const std::string& hash) {
  const Database database = open_database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!database) return false;
  // One row for a file: that of its newest state.
  constexpr const char* kTable =
      "CREATE TABLE IF NOT EXISTS hashes (device INTEGER, inode INTEGER, size INTEGER, changed INTEGER, sha256 TEXT,"
      " PRIMARY KEY (device, inode)) WITHOUT ROWID";
  if (sqlite3_exec(database.get(), kTable, nullptr, nullptr, nullptr) != SQLITE_OK) return false;
  const Statement statement =
      prepare(database.get(),
              "INSERT OR REPLACE INTO hashes (device, inode, size, changed, sha256) VALUES (?, ?, ?, ?, ?)", key);
  if (!statement) return false;
  sqlite3_bind_text(statement.get(), 5, hash.data(), static_cast<int>(hash.size()), SQLITE_TRANSIENT);
  return sqlite3_step(statement.get()) == SQLITE_DONE;
}

// The first bytes of every SQLite database that is not empty.
bool is_damaged(const fs::path& file) {
  const Database database = open_database(file, SQLITE_OPEN_READONLY);
  sqlite3_stmt* prepared = nullptr;
  const int status =
      !database ? SQLITE_NOTADB
                : sqlite3_prepare_v2(database.get(), "SELECT sha256 FROM hashes LIMIT 1", -1, &prepared, nullptr);
  const Statement statement(prepared);
  return status == SQLITE_NOTADB || status == SQLITE_CORRUPT;
}

void store(const FileKey& key, const std::string& hash) {
  const fs::path file = hash_database();
  if (file.empty()) return;
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  if (write_row(file, key, hash) || !is_damaged(file)) return;
  fs::remove(file, ignored);  // a cache: its rows can be computed again
  write_row(file, key, hash);
}

}  // namespace

fs::path hash_database() {
  const fs::path cache = cache_folder();
  return cache.empty() ? cache : cache / "tempera/hashes.sqlite";
}

std::optional<std::string> known_hash(const fs::path& file) {
  const std::optional<FileKey> key = key_of(file);
  return key ? look_up(*key) : std::nullopt;
}

std::string hash_of(const fs::path& file, const HashCallbacks& callbacks) {
  if (std::optional<std::string> known = known_hash(file)) return *std::move(known);
  return computed_hash(file, callbacks);
}

std::string computed_hash(const fs::path& file, const HashCallbacks& callbacks) {
  const std::optional<FileKey> before = key_of(file);
  std::string hash = sha256_of_file(file, callbacks);
  const std::optional<FileKey> after = key_of(file);
  if (!before || before != after)
    fail(ErrorCode::io, "'{}' changed while its hash was computed: try again when the file is complete", file.string());
  store(*before, hash);
  return hash;
}

std::string sqlite_library_version() {
  return sqlite3_libversion();
}

}  // namespace tempera
