// Where the parts of a JSON file stand in its text.

#include "sim/base/json_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sim/base/error.h"
#include "tests/scratch.h"

namespace kpksim {
namespace {

class JsonFiles : public testing::Test {
 protected:
  ~JsonFiles() override { std::filesystem::remove(path_); }
  JsonFile file(const std::string& text) const {
    std::ofstream(path_) << text;
    return JsonFile(path_);
  }
  std::string error_of(const std::string& text) const {
    try {
      file(text);
    } catch (const InputError& e) {
      return std::string(e.what()).substr(path_.size());
    }
    return "";
  }
  std::string at(const JsonFile& json, const std::string& pointer) const {
    return json.place(pointer).substr(path_.size());
  }

  const std::string path_ = test::scratch_file("json_file.json");
};

TEST_F(JsonFiles, APlaceIsTheFirstCharacterOfTheValue) {
  const JsonFile json =
      file("{\"a\": 1,\n \"b\" : [ 10, {\"c/d\": \"x\\\"}\",\n\"~e\": -2.5e3 }]}\n");
  EXPECT_EQ(at(json, ""), ":1:1");
  EXPECT_EQ(at(json, "/a"), ":1:7");
  EXPECT_EQ(at(json, "/b"), ":2:8");
  EXPECT_EQ(at(json, "/b/0"), ":2:10");
  EXPECT_EQ(at(json, "/b/1/c~1d"), ":2:22");
  EXPECT_EQ(at(json, "/b/1/~0e"), ":3:7");
}

TEST_F(JsonFiles, WhatIsMissingHasThePlaceOfWhatIsAroundIt) {
  const JsonFile json = file("{\"a\": 1,\n \"b\": {\"c\": 2}}");
  EXPECT_EQ(at(json, "/b/d"), ":2:7");
  EXPECT_EQ(at(json, "/x/y"), ":1:1");
  EXPECT_EQ(at(json, "/ab"), ":1:1") << "/a is not around it";
}

TEST_F(JsonFiles, ALineIsKnownForEachObject) {
  const auto lines = file("[{},\n[{\n}], {}]").lines_of_objects();
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines.at("/0"), 1u);
  EXPECT_EQ(lines.at("/1/0"), 2u);
  EXPECT_EQ(lines.at("/2"), 3u);
}

TEST_F(JsonFiles, AMessageGetsLineAndColumn) {
  const JsonFile json = file("{\n\"a\": 1}");
  EXPECT_EQ(json.located(path_ + ": /a: is odd"), path_ + ":2:6: /a: is odd");
  EXPECT_EQ(json.located("other: /a: is odd"), "other: /a: is odd");
  EXPECT_EQ(json.located(path_ + ": is odd"), path_ + ": is odd");
}

TEST_F(JsonFiles, WhatIsNoJsonIsToldByLineAndColumn) {
  EXPECT_EQ(error_of("{\n \"a\": }").rfind(":2:7: not JSON: ", 0), 0u) << error_of("{\n \"a\": }");
  EXPECT_EQ(error_of("{\"a\": 1,\n \"a\": 2}").rfind(":2:4: key 'a' is there twice", 0), 0u);
  EXPECT_NE(error_of(std::string(40, '[') + std::string(40, ']')).find("32 levels"),
            std::string::npos);
  EXPECT_NE(error_of("").find("is empty"), std::string::npos);
  EXPECT_NE(error_of("1e999"), "");
}

}  // namespace
}  // namespace kpksim
