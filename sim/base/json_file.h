#pragma once
// A JSON file: what it says, and where in the text each part of it stands. For files of people,
// whose mistakes are told with line and column.

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/base/setting.h"

namespace kpksim {

class JsonFile {
 public:
  // InputError names the file, and line and column: it cannot be read, or is larger than
  // kMaxJsonBytes; it is not JSON, has a key twice in one object (parsers differ in which they
  // take), or is nested deeper than anything that kpksim reads.
  explicit JsonFile(const std::string& path);

  // The value that the JSON pointer names, as a file of its own whose messages tell the places in
  // this one. The pointer is one of this file.
  JsonFile part(const std::string& pointer) const;
  // The same with values set. All messages from then on say which. InputError: a pointer that
  // matches nothing; a key that is new in its object is for the file's checks to judge.
  JsonFile with(const std::vector<Setting>& settings) const;

  const nlohmann::json& root() const { return root_; }
  const std::string& path() const { return path_; }

  // "path:line:column" of the value that the JSON pointer names; if it is not there, of the nearest
  // part around it.
  std::string place(const std::string& pointer) const;

  // InputError "path:line:column: pointer: what".
  [[noreturn]] void fail(const std::string& pointer, const std::string& what) const;

  // `message`, of the form "path: /pointer: what", with line and column put behind the path.
  std::string located(const std::string& message) const;

  // The line on which each object begins, by its JSON pointer.
  std::unordered_map<std::string, std::uint32_t> lines_of_objects() const;

 private:
  std::string path_;
  std::shared_ptr<const std::string> text_;
  nlohmann::json root_;
  std::string prefix_;  // of pointers of the root in the text
  std::string set_;     // at the end of messages: what was set
};

// `key` as one part of a JSON pointer (RFC 6901): ~ and / are escaped.
std::string pointer_part(const std::string& key);

}  // namespace kpksim
