#pragma once
// What the strategies have in common: groups of classes, each of which will have one key.

#include <optional>
#include <string>
#include <vector>

#include "sim/pkrs/assignment.h"

namespace kpksim::pkrs {

using Group = std::vector<std::size_t>;  // of classes

// What a group costs in all: a context that uses one of it reaches all of it.
Cost cost_of(const Demand& demand, const Group& group);
bool may_share(const Demand& demand, std::size_t a, std::size_t b);

// Keys from 1 on, in the order of each group's first class, so that page tables, which come first,
// keep key 1.
Assignment from_groups(const Demand& demand, Strategy strategy, unsigned budget,
                       std::vector<Group> groups);
Assignment refused(Strategy strategy, unsigned budget, const std::string& why);

// No groups: there is no legal assignment.
std::optional<std::vector<Group>> optimal_groups(const Demand& demand, unsigned keys);

}  // namespace kpksim::pkrs
