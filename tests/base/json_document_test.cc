// What is wrong with a document, in the words of its format.

#include "sim/base/json_document.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/base/error.h"
#include "tests/scratch.h"

namespace kpksim {
namespace {

const char* const kSchema = R"({
  "type": "object", "additionalProperties": false,
  "anyOf": [{"required": ["writes"]}, {"required": ["reads"]}],
  "properties": {
    "writes": {"type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": true,
               "items": {"type": "string", "minLength": 1}},
    "reads": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "number"}},
    "name": {"type": "string", "pattern": "^[a-z]+$", "form": "lower-case letters"},
    "plain": {"type": "string", "pattern": "^x"},
    "count": {"type": "integer", "minimum": 1, "maximum": 8},
    "least": {"type": "number", "minimum": 0},
    "schema": {"const": 1}
  }})";

std::string refusal(const std::string& text) {
  const std::string path = test::scratch_file("d.json");
  std::ofstream(path) << text;
  std::string message;
  try {
    read_json_document(path, kSchema);
  } catch (const InputError& e) {
    message = std::string(e.what()).substr(path.size());
  }
  std::filesystem::remove(path);
  return message;
}

TEST(JsonDocument, SaysWhatWasExpectedInAPersonsWords) {
  const std::string with = R"({"writes":["a"],)";
  EXPECT_EQ(refusal(with + R"("count":3})"), "");
  EXPECT_EQ(refusal(with + R"("count":9})"), ":1:25: /count: expected a number: 1 to 8, found 9");
  EXPECT_EQ(refusal(with + R"("least":-0.5})"),
            ":1:25: /least: expected a number: at least 0, found -0.5");
  EXPECT_EQ(refusal(with + R"("name":"A"})"),
            ":1:24: /name: expected lower-case letters, found 'A'");
  EXPECT_EQ(refusal(with + R"("plain":"A"})"), ":1:25: /plain: expected a text like ^x, found 'A'");
  EXPECT_EQ(refusal(with + R"("schema":2})"), ":1:26: /schema: expected 1, found 2");
  EXPECT_EQ(refusal(R"({"writes":[]})"), ":1:11: /writes: expected 1 to 3 parts, found 0");
  EXPECT_EQ(refusal(R"({"writes":["a","b","a"]})"), ":1:11: /writes: \"a\" is there twice");
  EXPECT_EQ(refusal(R"({"writes":[""]})"), ":1:12: /writes/0: expected a text that is not empty");
  EXPECT_EQ(refusal(R"({"reads":{}})"), ":1:10: /reads: expected at least 1 key, found 0");
  EXPECT_EQ(refusal(R"({"count":1})"), ":1:1: /: missing key 'writes' or 'reads'");
  EXPECT_EQ(refusal(R"({"writes":3})"), ":1:11: /writes: expected array, found 3");
}

}  // namespace
}  // namespace kpksim
