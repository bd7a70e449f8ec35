#pragma once
// Every site of fault injection broken in one way, in lives that between them reach every site:
// what finds it, or why nothing can follow. The tables of docs/mutations.md are made of this.

#include <map>
#include <string>
#include <vector>

#include "tests/check/mutations.h"

namespace kpksim::check {

// Sites by name: why nothing follows.
using Harmless = std::map<std::string, std::string>;

struct Row {
  std::string site, found, where;
  bool caught = false;
};

const Harmless& harmless_if_skipped();
const Harmless& harmless_if_delayed();
const Harmless& harmless_if_swapped();

// The lives, in the order in which they are tried; and one without a fault, which says how often
// each site is reached.
const std::vector<Surroundings>& lives();
std::string name_of(const Surroundings& life);
Outcome whole_life(const Surroundings& life);

// A row for each site that can be broken so.
std::vector<Row> make_table(kernel::FaultAction action, const Harmless& harmless);
// Each is found or harmless, none is both, and docs/mutations.md has the table.
void expect_table(const std::vector<Row>& rows, const Harmless& harmless);

}  // namespace kpksim::check
