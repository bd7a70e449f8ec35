#include "app/documents.h"

#include <fmt/core.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/base/json_file.h"
#include "sim/report/result.h"
#include "sim/report/schema.h"
#include "sim/sweep/store.h"
#include "sim/sweep/totals.h"

namespace kpksim::app {
namespace {

using nlohmann::ordered_json;

// What tells the kinds apart: the first key that a document of the kind has and no other kind.
struct Kind {
  DocumentKind kind;
  const char *key, *what;
  unsigned version;
  const char* schema;
};
const std::array<Kind, 6>& kinds() {
  static const std::array<Kind, 6> all = {
      {{DocumentKind::kResult, "runs", "a result (run -o, compare -o)", report::kSchemaVersion,
        report::kResultSchema},
       {DocumentKind::kAttack, "scenarios", "verdicts of attacks (attack -o)", 1,
        report::kAttackResultSchema},
       {DocumentKind::kKeys, "rows", "budgets of keys (keys -o)", 1, report::kKeysSchema},
       {DocumentKind::kValidation, "counts", "a validation (validate kernel -o)", 1,
        report::kValidationSchema},
       {DocumentKind::kApps, "replays", "a validation (validate apps -o)", 1, report::kAppsSchema},
       {DocumentKind::kPublished, "tables", "a validation (validate published -o)", 1,
        report::kPublishedSchema}}};
  return all;
}

bool is_store(const std::string& path) {
  // A pipe is read once, and is no database.
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return false;
  constexpr std::string_view kMagic = "SQLite format 3";
  std::ifstream file(path, std::ios::binary);
  std::string begin(kMagic.size(), '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return file && begin == kMagic;
}

// More than a browser opens with pleasure.
constexpr std::size_t kMostSweepBytes = 64 << 20;

ordered_json read_store(const std::string& path) {
  sweep::Store store = sweep::Store::read(path);
  const sweep::Identity& id = store.identity();
  ordered_json out = {{"name", id.name},
                      {"version", id.version},
                      {"points", id.points},
                      {"spec", sweep::ordered(id.spec)},
                      {"rows", ordered_json::array()}};
  std::size_t bytes = 0;
  store.each([&](const sweep::Row& row) {
    bytes += row.totals.size();
    if (bytes > kMostSweepBytes) {
      throw InputError(fmt::format(
          "{}: the totals of its points have more than {} MB, which no page holds; kpksim sweep "
          "export and best read such a store",
          path, kMostSweepBytes >> 20));
    }
    ordered_json one = {{"point", row.point}, {"hash", row.hash}};
    one["settings"] = sweep::ordered(row.config)["point"];
    if (row.failed()) {
      one["error"] = row.error;
    } else {
      one["totals"] = sweep::ordered(row.totals);
    }
    out["rows"].push_back(std::move(one));
  });
  if (out["rows"].empty()) throw InputError(path + ": the store has no points yet");
  return out;
}

std::string expected() {
  std::string text;
  for (const Kind& kind : kinds()) text += fmt::format("{}, ", kind.what);
  return "expected " + text + "or the store of a sweep";
}

const Kind& kind_of(const JsonFile& file) {
  if (!file.root().is_object()) file.fail("", expected());
  for (const Kind& kind : kinds()) {
    if (file.root().contains(kind.key)) return kind;
  }
  if (file.root().contains("policies") || file.root().contains("machine"))
    file.fail("", "a configuration has no results; " + expected());
  file.fail("", expected());
}

// The version first: every other message would be about what merely changed with it.
void check_version(const JsonFile& file, const Kind& kind) {
  const auto version = file.root().find("schema");
  if (version == file.root().end()) return;  // the schema's own message says so
  if (*version == kind.version) return;
  file.fail("/schema", fmt::format("version {} of {}; this kpksim reads version {}",
                                   version->dump(), kind.what, kind.version));
}

}  // namespace

Document read_document(const std::string& path) {
  if (is_store(path)) return {DocumentKind::kSweep, read_store(path)};
  const JsonFile file(path);
  const Kind& kind = kind_of(file);
  check_version(file, kind);
  check_schema(file, kind.schema);
  return {kind.kind, file.root()};
}

}  // namespace kpksim::app
