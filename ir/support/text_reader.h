#pragma once
// Reading and writing the text forms of the IRs: words, numbers, quoted strings and punctuation.

#include "ir/support/diagnostics.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// `"text"` with quotes, backslashes and control bytes escaped.
std::string quoted(std::string_view text);
/// `name` as it is when it consists of letters, digits and `_ . - /`, else quoted.
std::string name_text(std::string_view name);
/// The shortest decimal that reads back as `value`, always with a point or exponent.
std::string real_text(double value);

/// The number that all of `text` spells, or nothing.
std::optional<int64_t> integer_of(std::string_view text);
/// The same for a real, which must carry a point or exponent (or be `inf` or `nan`).
std::optional<double> real_of(std::string_view text);

struct Token {
  enum class Kind { word, text, punctuation, end };
  Kind kind = Kind::end;
  std::string text; ///< Of a quoted string: without quotes and escapes.
  int line = 1;
  int column = 1;

  bool is(std::string_view spelling) const { return kind != Kind::text && text == spelling; }
  /// As messages show it: the spelling in backticks, `a string` or `the end of the text`.
  std::string shown() const;
};

/// Splits a text into tokens and hands them out. Every mistake raises a UserError naming file, line
/// and column; no input makes it crash.
class TextReader {
public:
  /// Each character of `punctuation` is a token of its own; other runs of printable ASCII are
  /// words.
  TextReader(const std::string& text, const std::string& file_name, std::string_view punctuation);

  const Token& peek() const { return tokens_[at_]; }
  Token next();
  /// Takes the next token if it is the word or punctuation `spelling`.
  bool accept(std::string_view spelling);
  Token expect(std::string_view spelling);
  /// `what` is said in the message when something else is found.
  Token word(std::string_view what);
  /// A bare or quoted name, see name_text.
  std::string name(std::string_view what);
  std::string text(std::string_view what);
  int64_t integer(std::string_view what);
  double real(std::string_view what);
  /// An integer in [lo, hi].
  int64_t integer_in(std::string_view what, int64_t lo, int64_t hi);
  /// Fails unless the whole text has been read.
  void expect_end();

  /// Counts a level of nesting for the life of the object; fails when the text nests too deeply.
  class Nesting {
  public:
    explicit Nesting(TextReader& reader);
    ~Nesting() { --reader_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

  private:
    TextReader& reader_;
  };

  Loc loc(const Token& token) const { return {file_, token.line, token.column}; }
  [[noreturn]] void fail(const Token& at, const std::string& message) const;

private:
  void split(std::string_view punctuation);
  size_t read_string(size_t begin, Token& token);

  std::shared_ptr<const SourceFile> file_;
  std::vector<Token> tokens_; ///< Ends with a token of kind `end`.
  size_t at_ = 0;
  int depth_ = 0;
};

} // namespace netc
