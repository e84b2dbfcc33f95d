#pragma once
// Damages a text in many ways and sees that its parser takes it or blames a place in it.

#include "ir/support/error.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>

namespace netc {

/// Parses `text`; a text that is taken must print to something that reads back the same.
template <class RoundTrip> void expect_taken_or_blamed(const std::string& text, RoundTrip trip) {
  try {
    std::string printed = trip(text);
    EXPECT_EQ(trip(printed), printed) << "from:\n" << text;
  } catch (const UserError& e) {
    static const std::regex blame(R"(^[^\n]*<[a-z]+>:[0-9]+:[0-9]+: error: [^\n]+\n)");
    EXPECT_TRUE(std::regex_search(e.what(), blame)) << e.what();
  }
}

/// `trip` parses a text and prints the result.
template <class RoundTrip> void fuzz(const std::string& text, int flips, RoundTrip trip) {
  for (size_t length = 0; length < text.size(); ++length)
    expect_taken_or_blamed(text.substr(0, length), trip);
  std::mt19937 random(1);
  const std::string likely = "()[]{}%@:=,\"\\ \n0129-.ex";
  for (int i = 0; i < flips; ++i) {
    std::string damaged = text;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      size_t at = random() % damaged.size();
      char byte = random() % 2 ? likely[random() % likely.size()] : static_cast<char>(random());
      switch (random() % 3) {
      case 0:
        damaged[at] = byte;
        break;
      case 1:
        damaged.insert(at, 1, byte);
        break;
      default:
        damaged.erase(at, 1 + random() % 8);
        break;
      }
    }
    expect_taken_or_blamed(damaged, trip);
  }
}

/// The message of the exception of type E that `act` throws, or empty.
template <class E, class Act> std::string message_of(Act act) {
  try {
    act();
  } catch (const E& e) {
    return e.what();
  }
  return {};
}

} // namespace netc
