#include "sim/base/parameter.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "sim/base/error.h"

namespace kpksim {
namespace {

std::uint64_t read_number(const std::string& where, const ParameterInfo& info,
                          std::string_view text) {
  std::uint64_t n = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || rest != text.data() + text.size() || n < info.least ||
      n > info.most) {
    const std::string range = info.most == ~0ull ? fmt::format("{} or more", info.least)
                                                 : fmt::format("{} to {}", info.least, info.most);
    throw InputError(
        fmt::format("{}: '{}' is no number of {}; expected {}", where, text, info.unit, range));
  }
  return n;
}

std::vector<std::uint64_t> read_numbers(const std::string& where, const ParameterInfo& info,
                                        std::string_view text) {
  std::vector<std::uint64_t> numbers;
  if (info.kind == ParameterInfo::Kind::kNumber) return {read_number(where, info, text)};
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    numbers.push_back(read_number(where, info, text.substr(at, end - at)));
    at = end + 1;
  }
  return numbers;
}

}  // namespace

Parameters::Parameters(const std::string& owner, const std::vector<ParameterInfo>& declared,
                       const GivenParameters& given) {
  for (const auto& [name, value] : given) {
    std::vector<std::string> known;
    known.reserve(declared.size());
    for (const ParameterInfo& info : declared) known.emplace_back(info.name);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw InputError(fmt::format("{} has no parameter '{}'{}", owner, name,
                                 known.empty() ? "; it has none" : suggest(name, known)));
  }
  for (const ParameterInfo& info : declared) {
    const auto it = given.find(std::string(info.name));
    const std::string text = it != given.end() ? it->second : std::string(info.usual);
    const std::string where = fmt::format("{}, parameter '{}'", owner, info.name);
    texts_.emplace_back(info.name, text);
    if (info.kind != ParameterInfo::Kind::kChoice) {
      numbers_.emplace(info.name, read_numbers(where, info, text));
    } else if (std::find(info.choices.begin(), info.choices.end(), text) == info.choices.end()) {
      throw InputError(
          fmt::format("{}: '{}' is none of {}", where, text, fmt::join(info.choices, ", ")));
    }
  }
}

const std::vector<std::uint64_t>& Parameters::numbers(std::string_view name) const {
  const auto it = numbers_.find(name);
  if (it == numbers_.end()) throw ModelError(fmt::format("no number '{}' is declared", name));
  return it->second;
}

const std::string& Parameters::choice(std::string_view name) const {
  for (const auto& [known, text] : texts_) {
    if (known == name) return text;
  }
  throw ModelError(fmt::format("no parameter '{}' is declared", name));
}

ParameterInfo choice_parameter(std::string_view name, std::string_view description,
                               std::string_view usual, std::vector<std::string_view> choices) {
  return {name, "", description,        usual, ParameterInfo::Kind::kChoice,
          0,    0,  std::move(choices), false};
}

ParameterInfo switch_parameter(std::string_view name, std::string_view description,
                               std::string_view usual) {
  return choice_parameter(name, description, usual, {"off", "on"});
}

}  // namespace kpksim
