#pragma once
// Parameters of a part that is chosen by name: declared as data beside the class that has them,
// given as text ("reserve=8", "orders=9/4/2"), checked once, printed with their defaults.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kpksim {

struct ParameterInfo {
  enum class Kind : std::uint8_t { kNumber, kNumbers, kChoice };

  std::string_view name, unit, description;
  std::string_view usual;  // the default, as one would give it
  Kind kind = Kind::kNumber;
  std::uint64_t least = 0, most = ~0ull;       // of a number, or of each
  std::vector<std::string_view> choices = {};  // of a choice
  // With its default it is as if it did not exist: documents name it where it was given alone.
  bool quiet = false;
};

// What was given, by name.
using GivenParameters = std::map<std::string, std::string>;

// The values of one part: those given, and the defaults of the others.
class Parameters {
 public:
  Parameters() = default;
  // InputError, which begins with `owner`: an unknown name, or a value that is none.
  Parameters(const std::string& owner, const std::vector<ParameterInfo>& declared,
             const GivenParameters& given);

  std::uint64_t number(std::string_view name) const { return numbers(name).front(); }
  const std::vector<std::uint64_t>& numbers(std::string_view name) const;
  const std::string& choice(std::string_view name) const;
  bool is_on(std::string_view name) const { return choice(name) == "on"; }
  // As text, in the order of declaration.
  const std::vector<std::pair<std::string, std::string>>& all() const { return texts_; }

 private:
  std::vector<std::pair<std::string, std::string>> texts_;
  std::map<std::string, std::vector<std::uint64_t>, std::less<>> numbers_;
};

// A parameter that is one of some words; and one that is on or off.
ParameterInfo choice_parameter(std::string_view name, std::string_view description,
                               std::string_view usual, std::vector<std::string_view> choices);
ParameterInfo switch_parameter(std::string_view name, std::string_view description,
                               std::string_view usual = "off");

}  // namespace kpksim
