#pragma once
// Profiles: JSON files of numbers in groups, each {"value": ..., "source": "...", "confidence":
// "...", "range": [low, high]}. The reader remembers what was asked for, so that a name that nobody
// knows is an error. The range may be left out, unless the number is estimated or fitted and the
// kind of profile insists. A profile that names another as its "base" has all of that one's numbers
// but those that it gives itself.

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace kpksim {

class JsonFile;
struct Setting;

// What a profile says of one of its numbers.
struct ProfileEntry {
  std::string group, name;
  std::string value, source, confidence;
  std::optional<std::pair<double, double>> range;
};

class ProfileReader {
 public:
  enum class Ranges : std::uint8_t { kOptional, kOfGuesses };
  // `bases`: the folder of the profiles that a "base" may name; without one there is no such name.
  // InputError: unreadable or malformed (with line and column), or no object with a name.
  explicit ProfileReader(const std::string& path, Ranges ranges = Ranges::kOptional,
                         const std::string& bases = "");
  // The same of a file that has been read.
  ProfileReader(std::shared_ptr<const JsonFile> file, Ranges ranges, const std::string& bases);

  // Sets values of numbers: the pointer is "/group/name", or "/group/name/value", and a '/' in the
  // name may stand for its '_'. Such a number has the setting as its source, the confidence "set"
  // and no range, so that draws keep it. InputError with the nearest name: nothing is called so;
  // or, unless `beyond_ranges`, the value is outside the number's range.
  void set(const std::vector<Setting>& settings, bool beyond_ranges);
  // The whole profile as JSON: with what the bases have and what was set.
  const nlohmann::json& root() const { return *root_; }

  // From now on number() draws from a number's range, where it has one: below the number or above
  // it with the same probability, and uniformly there, so that the number is the draws' median. In
  // the order in which they are asked for. The same seed gives the same numbers.
  void draw(std::uint64_t seed) { random_.emplace(seed); }

  std::string name() const { return text("name"); }
  std::string description() const { return text("description"); }

  // The value at /group/name. InputError names the file, line, column and the JSON pointer.
  double number(const std::string& group, const std::string& name);  // not negative
  // whole, `least` to a million
  unsigned count(const std::string& group, const std::string& name, unsigned least = 1);
  bool flag(const std::string& group, const std::string& name);
  // Index of the value among `choices`.
  std::size_t choice(const std::string& group, const std::string& name,
                     const std::vector<std::string>& choices);

  [[noreturn]] void fail(const std::string& pointer, const std::string& what) const;
  // InputError if the file has a name in a known group, or a group, that was never asked for.
  void refuse_unknown() const;

  // What was asked for, in that order.
  const std::vector<ProfileEntry>& entries() const { return entries_; }

 private:
  std::string text(const char* key) const;
  double written(const std::string& group, const std::string& name);
  void note(const std::string& group, const std::string& name);
  const nlohmann::json& value(const std::string& group, const std::string& name);

  // Adds what its base has and `root` has not; `below`: the files that led to it.
  void inherit(nlohmann::json& root, const std::string& bases,
               std::vector<std::shared_ptr<const JsonFile>> below);

  std::shared_ptr<const JsonFile> file_;
  std::shared_ptr<const nlohmann::json> root_;  // with what the bases have
  std::map<std::string, std::shared_ptr<const JsonFile>>
      inherited_;  // "/group/name" -> whose it is
  Ranges ranges_;
  std::string set_;  // at the end of messages: what was set
  std::map<std::string, std::vector<std::string>> known_;
  std::vector<ProfileEntry> entries_;
  std::optional<std::mt19937_64> random_;
};

}  // namespace kpksim
