#include "sim/base/error.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kpksim {
namespace {

TEST(Suggest, NamesTheOneThatIsMeant_OrAllThatThereAre) {
  EXPECT_EQ(suggest("wiat", {"exit", "wait"}), "; did you mean 'wait'?");
  EXPECT_EQ(suggest("something", {"exit", "wait"}), "; known: exit, wait");
}

TEST(Suggest, ALongListIsCutToTheNearest) {
  std::vector<std::string> names;
  for (int i = 100; i < 500; ++i) {
    names.push_back("events.number_" + std::to_string(i));
  }
  EXPECT_EQ(suggest("number_432", names),
            "; the nearest of 400: events.number_432, events.number_132, events.number_232, "
            "events.number_332, events.number_402");
}

}  // namespace
}  // namespace kpksim
