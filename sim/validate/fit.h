#pragma once
// Fits a few prices of a core profile to a few published cells. All other cells are predictions.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/validate/published_model.h"

namespace kpksim::validate {

// How far a prediction may lie from its published value: a fifth of it, or three points.
double tolerance(double published);

struct FreePrice {
  std::string name;               // of cpu::prices()
  std::uint64_t lowest, highest;  // what is physical, in thousandths of a cycle
};
const std::vector<FreePrice>& free_prices();

// A published figure that prices are fitted to.
struct Anchor {
  const PublishedTable* table = nullptr;  // with `cell`, or
  const Cell* cell = nullptr;
  const AbsoluteTime* time = nullptr;

  std::string name() const;
};
// Those of the fit; InputError if the tables lack one.
std::vector<Anchor> anchors(const Published& published);

struct Fit {
  std::vector<std::uint64_t> values;  // of free_prices(), in that order
  double misfit = 0;                  // sum of squares, in tolerances
};
// From `core`'s prices on, the best values within their bounds.
Fit fit(const PublishedModel& model, const std::vector<Anchor>& to, const cpu::CoreProfile& core);

void apply(const Fit& fit, cpu::CoreProfile& core);

}  // namespace kpksim::validate
