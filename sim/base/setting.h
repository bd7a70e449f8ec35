#pragma once
// One value that takes another's place in a JSON document before it is checked: what --set gives on
// the command line, and what a sweep varies. So every check of a file holds for what was set, too.

#include <string>
#include <string_view>
#include <vector>

namespace kpksim {

struct Setting {
  std::string document;  // "core"
  std::string pointer;   // "/tlb/l2_sets"
  std::string value;     // as JSON text
  std::string origin;    // who set it, for messages and documents: "--set core:/tlb/l2_sets=256"

  // Its name: "core:/tlb/l2_sets".
  std::string key() const { return document + ":" + pointer; }
};

// "core:/tlb/l2_sets=256". What is no JSON behind the '=' is a text: "memory=4G" and
// "memory=\"4G\"" are the same. InputError, which begins with "--set": another form, or no such
// document.
Setting parse_setting(const std::string& text);

// Of the name alone ("core:/tlb/l2_sets"), in the words of `place`.
Setting parse_setting_key(const std::string& key, const std::string& place);

// The documents that settings may name.
const std::vector<std::string>& setting_documents();

// Those for `document`, in their order.
std::vector<Setting> settings_of(const std::vector<Setting>& settings, std::string_view document);

// "; with A, B" for messages about a document in which these were set; empty without any.
std::string origins_of(const std::vector<Setting>& settings);

// The parts of a JSON pointer, unescaped. InputError, which begins with `place`: it is none.
std::vector<std::string> parts_of_pointer(const std::string& pointer, const std::string& place);

}  // namespace kpksim
