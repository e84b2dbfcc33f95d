#include "ir/support/text_reader.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace netc {

namespace {

/// Deeper than any IR netc makes, shallow enough for the stack of a recursive parser.
constexpr int max_nesting = 500;

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
bool is_printable(char c) {
  return c > 32 && c < 127;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == '/';
}

bool is_bare_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), is_name_character);
}

template <typename Number> std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

} // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", c);
    else if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 32 || c == 127)
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string name_text(std::string_view name) {
  return is_bare_name(name) ? std::string(name) : quoted(name);
}

std::string real_text(double value) {
  if (value != value)
    return "nan"; // The sign of a NaN depends on the processor.
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

std::optional<int64_t> integer_of(std::string_view text) {
  return number_of<int64_t>(text);
}

std::optional<double> real_of(std::string_view text) {
  if (text != "nan" && text != "inf" && text != "-inf" &&
      (text.find_first_of(".e") == text.npos ||
       text.find_first_not_of("0123456789.e+-") != text.npos))
    return std::nullopt;
  return number_of<double>(text);
}

std::string Token::shown() const {
  if (kind == Kind::end)
    return "the end of the text";
  return kind == Kind::text ? "a string" : fmt::format("`{}`", text.substr(0, 80));
}

TextReader::TextReader(const std::string& text, const std::string& file_name,
                       std::string_view punctuation)
    : file_(std::make_shared<SourceFile>(SourceFile{file_name, text})) {
  split(punctuation);
}

void TextReader::split(std::string_view punctuation) {
  const std::string& text = file_->text;
  auto is_punctuation = [&](char c) { return punctuation.find(c) != punctuation.npos; };
  int line = 1;
  size_t line_begin = 0;
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (is_space(c)) {
      ++i;
      if (c == '\n') {
        ++line;
        line_begin = i;
      }
      continue;
    }
    Token token{Token::Kind::word, {}, line, static_cast<int>(i - line_begin) + 1};
    if (c == '"') {
      i = read_string(i, token);
    } else if (is_punctuation(c)) {
      token.kind = Token::Kind::punctuation;
      token.text = c;
      ++i;
    } else if (is_printable(c)) {
      size_t end = i;
      while (end < text.size() && is_printable(text[end]) && text[end] != '"' &&
             !is_punctuation(text[end]))
        ++end;
      token.text = text.substr(i, end - i);
      i = end;
    } else {
      fail(token, fmt::format("unexpected byte 0x{:02x}", static_cast<unsigned char>(c)));
    }
    tokens_.push_back(std::move(token));
  }
  tokens_.push_back({Token::Kind::end, {}, line, static_cast<int>(text.size() - line_begin) + 1});
}

/// Reads the string whose opening quote is at `begin`; returns the place behind the closing one.
size_t TextReader::read_string(size_t begin, Token& token) {
  const std::string& text = file_->text;
  token.kind = Token::Kind::text;
  for (size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] == '"')
      return i + 1;
    if (static_cast<unsigned char>(text[i]) < 32)
      break;
    if (text[i] != '\\') {
      token.text += text[i];
      continue;
    }
    char escape = ++i < text.size() ? text[i] : '\0';
    unsigned byte = 0;
    if (escape == '"' || escape == '\\') {
      token.text += escape;
    } else if (escape == 'n') {
      token.text += '\n';
    } else if (escape == 'x' && i + 2 < text.size() &&
               std::from_chars(&text[i + 1], &text[i + 3], byte, 16).ptr == &text[i + 3]) {
      token.text += static_cast<char>(byte);
      i += 2;
    } else {
      fail(token, "unknown escape in the string");
    }
  }
  fail(token, "the string does not end on its line");
}

Token TextReader::next() {
  Token token = peek();
  if (token.kind != Token::Kind::end)
    ++at_;
  return token;
}

bool TextReader::accept(std::string_view spelling) {
  if (!peek().is(spelling) || peek().kind == Token::Kind::end)
    return false;
  ++at_;
  return true;
}

Token TextReader::expect(std::string_view spelling) {
  if (!peek().is(spelling))
    fail(peek(), fmt::format("expected `{}`, got {}", spelling, peek().shown()));
  return next();
}

Token TextReader::word(std::string_view what) {
  if (peek().kind != Token::Kind::word)
    fail(peek(), fmt::format("expected {}, got {}", what, peek().shown()));
  return next();
}

std::string TextReader::name(std::string_view what) {
  if (peek().kind == Token::Kind::text)
    return next().text;
  if (peek().kind == Token::Kind::word && !is_bare_name(peek().text))
    fail(peek(), fmt::format("{} is not a name", peek().shown()));
  return word(what).text;
}

std::string TextReader::text(std::string_view what) {
  if (peek().kind != Token::Kind::text)
    fail(peek(), fmt::format("expected {} in quotes, got {}", what, peek().shown()));
  return next().text;
}

int64_t TextReader::integer(std::string_view what) {
  return integer_in(what, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
}

int64_t TextReader::integer_in(std::string_view what, int64_t lo, int64_t hi) {
  Token token = word(what);
  std::optional<int64_t> value = integer_of(token.text);
  if (!value)
    fail(token, fmt::format("expected {}, got {}", what, token.shown()));
  if (*value < lo || *value > hi)
    fail(token, fmt::format("expected {}, {} is out of range", what, *value));
  return *value;
}

double TextReader::real(std::string_view what) {
  Token token = word(what);
  std::optional<double> value = real_of(token.text);
  if (!value)
    fail(token, fmt::format("expected {}, got {}", what, token.shown()));
  return *value;
}

void TextReader::expect_end() {
  if (peek().kind != Token::Kind::end)
    fail(peek(), fmt::format("expected the end of the text, got {}", peek().shown()));
}

TextReader::Nesting::Nesting(TextReader& reader) : reader_(reader) {
  if (reader_.depth_ == max_nesting)
    reader_.fail(reader_.peek(), fmt::format("nested more than {} deep", max_nesting));
  ++reader_.depth_;
}

void TextReader::fail(const Token& at, const std::string& message) const {
  std::string line = message; // A quoted name may hold anything.
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 32 || c == 127; }, '?');
  Diagnostics diagnostics;
  diagnostics.error(loc(at), line);
  throw UserError(diagnostics.render());
}

} // namespace netc
