#include "sim/validate/fit.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kpksim::validate {
namespace {

// Per event, whether free price `i` sets it.
using Users = std::vector<std::vector<cpu::Event>>;

double misfit(const PublishedModel& model, const std::vector<Anchor>& to, const Prices& prices,
              double clock_ghz) {
  double sum = 0;
  for (const Anchor& a : to) {
    const double error =
        a.cell != nullptr ? (model.overhead(*a.cell, a.table->keyed, prices) - a.cell->overhead) /
                                tolerance(a.cell->overhead)
                          : (model.usec(*a.time, prices, clock_ghz) / a.time->usec - 1) / 0.2;
    sum += error * error;
  }
  return sum;
}

const PublishedTable& table_of(const Published& published, const std::string& id) {
  for (const PublishedTable& table : published.tables) {
    if (table.id == id) return table;
  }
  throw InputError("the published results have no table '" + id + "', to which prices are fitted");
}

}  // namespace

double tolerance(double published) { return std::max(std::abs(published) * 0.2, 3.0); }

const std::vector<FreePrice>& free_prices() {
  static const std::vector<FreePrice> all = {
      {"isb", 10'000, 60'000},           // a front end refilled: 28 on Apple M1, 33 on Neoverse N1
      {"in_flight", 0, 1'000},           // at most one instruction a cycle drains
      {"dvm_core", 0, 60'000},           // nothing is published
      {"atomic", 2'000, 30'000},         // in the L1D
      {"instruction", 200, 1'000},       // 1 to 5 a cycle
      {"loop_instruction", 140, 1'000},  // 1 to 7 a cycle
  };
  return all;
}

std::string Anchor::name() const {
  if (time != nullptr) return time->label + ", microseconds";
  return table->id + ": " + cell->label + (cell->batched ? ", batched" : "");
}

std::vector<Anchor> anchors(const Published& published) {
  struct Named {
    const char *table, *label;
    bool batched;
  };
  constexpr Named kCells[] = {
      {"rfc-v5", "fork h:0", false},          {"rfc-v5", "fork h:1", false},
      {"rfc-v5", "munmap h:0", false},        {"rfc-v5", "munmap h:1", false},
      {"rfc-v5", "vmalloc p:256 h:0", false}, {"rfc-v5", "vmalloc p:1 h:0", true},
      {"rfc-v5-amended", "fork h:0", true},
  };
  std::vector<Anchor> out;
  for (const Named& named : kCells) {
    const PublishedTable& table = table_of(published, named.table);
    const auto cell = std::find_if(table.cells.begin(), table.cells.end(), [&](const Cell& c) {
      return c.label == named.label && c.batched == named.batched;
    });
    if (cell == table.cells.end()) {
      throw InputError(std::string("table ") + named.table + " has no '" + named.label +
                       "', to which prices are fitted");
    }
    out.push_back({&table, &*cell, nullptr});
  }
  // Overheads are ratios: one time in seconds says how long all of it takes.
  for (const AbsoluteTime& time : published.absolute) {
    if (time.label == "vmalloc p:1 h:0") out.push_back({nullptr, nullptr, &time});
  }
  return out;
}

// A pattern search: steps along each price and each pair of prices, smaller when none helps.
Fit fit(const PublishedModel& model, const std::vector<Anchor>& to, const cpu::CoreProfile& core) {
  const std::vector<FreePrice>& free = free_prices();
  Users users;
  Fit best;
  for (const FreePrice& price : free) {
    for (const cpu::Price& p : cpu::prices()) {
      if (p.name == price.name) users.push_back(p.events);
    }
    const std::uint64_t start = core.millicycles[static_cast<std::size_t>(users.back()[0])];
    best.values.push_back(std::clamp(start, price.lowest, price.highest));
  }
  const auto evaluate = [&](const std::vector<std::uint64_t>& values) {
    Prices prices = core.millicycles;
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (const cpu::Event e : users[i]) prices[static_cast<std::size_t>(e)] = values[i];
    }
    return misfit(model, to, prices, core.clock_ghz);
  };
  const auto moved = [&](std::vector<std::uint64_t> values, std::size_t i, double by) {
    const double width = static_cast<double>(free[i].highest - free[i].lowest);
    const double to_value = static_cast<double>(values[i]) + by * width;
    values[i] = static_cast<std::uint64_t>(std::llround(std::clamp(
        to_value, static_cast<double>(free[i].lowest), static_cast<double>(free[i].highest))));
    return values;
  };
  best.misfit = evaluate(best.values);
  for (double step = 0.25; step > 1e-4;) {
    Fit better = best;
    const auto consider = [&](const std::vector<std::uint64_t>& values) {
      const double m = evaluate(values);
      if (m < better.misfit) better = {values, m};
    };
    for (std::size_t i = 0; i < free.size(); ++i) {
      for (const double a : {-step, step}) {
        const auto one = moved(best.values, i, a);
        consider(one);
        for (std::size_t j = 0; j < i; ++j) {
          for (const double b : {-step, -step / 3, step / 3, step}) consider(moved(one, j, b));
        }
      }
    }
    if (better.misfit < best.misfit) {
      best = better;
    } else {
      step /= 2;
    }
  }
  return best;
}

void apply(const Fit& fit, cpu::CoreProfile& core) {
  for (std::size_t i = 0; i < fit.values.size(); ++i) {
    core.set_price(free_prices()[i].name, fit.values[i]);
  }
}

}  // namespace kpksim::validate
