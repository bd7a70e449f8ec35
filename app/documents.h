#pragma once
// What other commands wrote, as checked JSON: for commands that show it to people.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace kpksim::app {

enum class DocumentKind : std::uint8_t {
  kResult,
  kAttack,
  kKeys,
  kValidation,
  kApps,
  kPublished,
  kSweep
};

struct Document {
  DocumentKind kind = DocumentKind::kResult;
  nlohmann::ordered_json content;
};

// Of run, compare, attack, keys or validate (-o), or the store of a sweep, whose rows become
// an array. InputError with the place: not such a document, or of another version.
Document read_document(const std::string& path);

}  // namespace kpksim::app
