#include "sim/keys/choice.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_text.h"

namespace kpksim::keys {

using nlohmann::json;

void set(Choice& choice, const Setting& setting) {
  constexpr double kMostRate = 1e6;
  const json value = json::parse(setting.value);
  const auto whole = [&](unsigned least, unsigned most) {
    if (!value.is_number_unsigned() || value < least || value > most) {
      throw InputError(fmt::format("{}: expected a whole number from {} to {}, found {}",
                                   setting.origin, least, most, dump(value)));
    }
    return value.get<unsigned>();
  };
  const std::string name = setting.pointer.substr(1);
  if (name == "budget") {
    choice.budget = whole(pkrs::kLeastBudget, pkrs::kMostBudget);
  } else if (name == "first_classes") {
    choice.variation.first = whole(1, pkrs::kMostBudget);
  } else if (name == "rate") {
    if (!value.is_number() || value < 0 || value > kMostRate) {
      throw InputError(fmt::format("{}: expected a number from 0 to {:.0f}, found {}",
                                   setting.origin, kMostRate, dump(value)));
    }
    choice.variation.rate = value.get<double>();
  } else if (name == "strategy") {
    try {
      choice.strategy =
          pkrs::parse_strategy(value.is_string() ? value.get<std::string>() : dump(value));
    } catch (const InputError& e) {
      throw InputError(fmt::format("{}: {}", setting.origin, e.what()));
    }
  } else {
    throw InputError(fmt::format("{}: keys have no '/{}'{}", setting.origin, name,
                                 suggest(name, {"budget", "first_classes", "rate", "strategy"})));
  }
}

}  // namespace kpksim::keys
