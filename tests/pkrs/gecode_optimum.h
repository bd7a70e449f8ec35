#pragma once
// The least over-privilege by an established solver, which shares nothing with the strategy
// `optimal` but the demand.

#include <optional>

#include "sim/pkrs/assignment.h"

namespace kpksim::test {

// By Gecode's branch and bound, of costs below 2^30. Nothing: there is no legal assignment.
std::optional<pkrs::Cost> least_by_gecode(const pkrs::Demand& demand, unsigned keys);

}  // namespace kpksim::test
