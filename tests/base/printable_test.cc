// Names from files on their way to a terminal.

#include "sim/base/printable.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace kpksim {
namespace {

TEST(Printable, ControlCharactersAreShownAndNotObeyed) {
  EXPECT_EQ(printable("fork\x1b[2J\n\t\r\x07\x7f"), "fork\\x1b[2J\\n\\t\\x0d\\x07\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\u{9b}2J")
      << "the control sequence introducer of C1";
  EXPECT_EQ(printable("a\xe2\x80\xae"
                      "b"),
            "a\\u{202e}b")
      << "right-to-left override";
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Printable, OtherTextStaysAsItIs) {
  for (const char* text : {"fork-1g", "Größe", "日本語", "🙂", "a\\nb", ""}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, BytesThatAreNoUtf8AreShownAsBytes) {
  EXPECT_EQ(printable("a\xff"
                      "b"),
            "a\\xffb");
  EXPECT_EQ(printable("\xc3"), "\\xc3") << "cut off";
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "longer than needed";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a surrogate pair";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
}

RC_GTEST_PROP(Printable, NoBytesWhateverGiveAControlCharacter, (const std::string& bytes)) {
  const std::string text = printable(bytes);
  for (const char c : text) {
    RC_ASSERT(static_cast<unsigned char>(c) >= 0x20);
    RC_ASSERT(c != '\x7f');
  }
  RC_ASSERT(printable(text) == text);
}

TEST(Printable, AFieldOfCsvIsQuotedWhereItHasTo) {
  EXPECT_EQ(csv_field("kpkeys-poe"), "kpkeys-poe");
  EXPECT_EQ(csv_field("none,buddy,pte"), "\"none,buddy,pte\"");
  EXPECT_EQ(csv_field("a \"b\""), "\"a \"\"b\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "two\\nlines") << "a row is a line";
}

TEST(Printable, WidthsCountCharacters) {
  EXPECT_EQ(columns("Größe"), 5u);
  EXPECT_EQ(pad_left("ü", 3), "  ü");
  EXPECT_EQ(pad_right("ü", 3), "ü  ");
  EXPECT_EQ(pad_right("long", 3), "long");
  EXPECT_EQ(first_columns("Größe", 3), "Grö");
  EXPECT_EQ(first_columns("Größe", 0), "");
  EXPECT_EQ(first_columns("Größe", 9), "Größe");
}

}  // namespace
}  // namespace kpksim
