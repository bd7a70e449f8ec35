#pragma once
// What a point of a sweep asks of keys: the settings of the document "keys".

#include <optional>
#include <string>

#include "sim/base/setting.h"
#include "sim/kernel/object/classes.h"
#include "sim/pkrs/assignment.h"

namespace kpksim::keys {

struct Choice {
  std::optional<unsigned> budget = {};
  std::optional<pkrs::Strategy> strategy = {};
  kernel::Variation variation = {};
};

// InputError, which names the setting, with what was expected and the nearest name.
void set(Choice& choice, const Setting& setting);

}  // namespace kpksim::keys
