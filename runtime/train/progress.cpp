#include "runtime/train/progress.h"

#include <fmt/format.h>

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace netc {

namespace {

constexpr double redraw_seconds = 0.1;
constexpr double loss_memory = 0.98;  ///< Weight of the past per step in the smoothed loss.
constexpr double speed_seconds = 3.0; ///< Time constant of the smoothed speed.
constexpr int widest_bar = 30;
constexpr int narrowest_bar = 10;

constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view dim = "\x1b[2m";
constexpr std::string_view cyan = "\x1b[36m";
constexpr std::string_view plain = "\x1b[0m";

int columns_of_stderr() {
  winsize size = {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool locale_is_utf8() {
  locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (!locale)
    return false;
  bool utf8 = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
  ::freelocale(locale);
  return utf8;
}

/// Bytes of `text` that fill at most `columns` columns, one per code point.
size_t bytes_of_columns(std::string_view text, int columns) {
  size_t at = 0;
  for (; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && columns-- == 0)
      break;
  return at;
}

std::string speed_text(double images_per_second) {
  return images_per_second < 10 ? fmt::format("{:.2f} images/s", images_per_second)
                                : fmt::format("{:.0f} images/s", images_per_second);
}

std::string bar_text(double fraction, int columns, const ProgressOptions& options) {
  int done = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * columns));
  std::string full, rest;
  for (int i = 0; i < columns; ++i)
    (i < done ? full : rest) += options.unicode ? "━" : i < done ? "#" : ".";
  if (!options.colours) // Without colours box characters of both halves would look the same.
    return options.unicode ? full + std::string(static_cast<size_t>(columns - done), ' ')
                           : full + rest;
  return fmt::format("{}{}{}{}{}{}", cyan, full, plain, dim, rest, plain);
}

/// A piece of the redrawn line; pieces of higher `cost` go first when the terminal is narrow.
struct Piece {
  std::string text;
  int cost;
  std::string_view colour = {};
};

constexpr std::string_view gap = "  ";

int width_of(const std::vector<Piece>& pieces) {
  size_t width = 0;
  for (const Piece& piece : pieces)
    width += piece.text.size() + gap.size();
  return static_cast<int>(width);
}

} // namespace

ProgressOptions ProgressOptions::for_stderr(bool quiet) {
  ProgressOptions options;
  options.quiet = quiet;
  options.terminal = ::isatty(STDERR_FILENO) == 1;
  options.colours = options.terminal;
  options.unicode = options.terminal && locale_is_utf8();
  options.clock = [] {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  };
  options.width = columns_of_stderr;
  options.write = [](std::string_view text) {
    // Progress is never worth failing for: a closed stderr is ignored.
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  };
  return options;
}

std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9)
    return "?";
  int64_t s = std::llround(seconds);
  if (s < 60)
    return fmt::format("{}s", s);
  if (s < 3600)
    return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86400)
    return fmt::format("{}h {:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {:02}h", s / 86400, s / 3600 % 24);
}

Progress::Progress(ProgressOptions options) : options_(std::move(options)) {}

Progress::~Progress() {
  clear();
}

void Progress::measure(const ProgressPoint& point, double now) {
  if (!std::isfinite(point.loss) || !std::isfinite(smoothed_loss_))
    loss_weight_ = 0; // A NaN shows at once, and so does a recovery.
  double weight_before = loss_weight_;
  loss_weight_ = loss_memory * loss_weight_ + (1 - loss_memory);
  smoothed_loss_ = weight_before == 0 ? point.loss
                                      : smoothed_loss_ + (1 - loss_memory) / loss_weight_ *
                                                             (point.loss - smoothed_loss_);
  if (!timing_) {
    // The first step after a pause tells no duration.
    timing_ = true;
    measured_at_ = now;
    pending_images_ = pending_steps_ = 0;
    return;
  }
  pending_images_ += point.images;
  pending_steps_ += 1;
  double passed = now - measured_at_;
  if (passed < redraw_seconds)
    return;
  double weight = images_per_second_ == 0 ? 1 : 1 - std::exp(-passed / speed_seconds);
  auto blend = [&](double& speed, int64_t count) {
    speed += weight * (static_cast<double>(count) / passed - speed);
  };
  blend(images_per_second_, pending_images_);
  blend(steps_per_second_, pending_steps_);
  measured_at_ = now;
  pending_images_ = pending_steps_ = 0;
}

void Progress::update(const ProgressPoint& point) {
  if (options_.quiet)
    return;
  double now = options_.clock();
  bool epoch_ended = std::floor(point.epoch) > std::floor(point_.epoch) && drawn_ever_;
  measure(point, now);
  point_ = point;
  if (!drawn_ever_ && !options_.terminal)
    drawn_at_ = now; // The first plain line comes after plain_seconds.
  bool due = now - drawn_at_ >= (options_.terminal ? redraw_seconds : options_.plain_seconds);
  bool first = !drawn_ever_;
  drawn_ever_ = true;
  if (options_.terminal ? first || due : epoch_ended || due) {
    drawn_at_ = now;
    if (options_.terminal)
      draw(terminal_line());
    else
      line(plain_line());
    printed_step_ = point.step;
  }
}

void Progress::activity(std::string_view text) {
  timing_ = false;
  if (options_.quiet || !options_.terminal)
    return;
  double now = options_.clock();
  if (visible_ && activity_visible_ && now - drawn_at_ < redraw_seconds)
    return;
  drawn_at_ = now;
  drawn_ever_ = true;
  draw(std::string(text.substr(0, bytes_of_columns(text, options_.width() - 1))));
  activity_visible_ = true;
}

void Progress::line(std::string_view text) {
  if (options_.quiet)
    return;
  clear();
  options_.write(fmt::format("{}\n", text));
}

void Progress::finish() {
  if (!options_.quiet && !options_.terminal && drawn_ever_ && printed_step_ != point_.step) {
    line(plain_line());
    printed_step_ = point_.step;
  }
  clear();
  timing_ = false;
}

void Progress::draw(const std::string& text) {
  options_.write(fmt::format("\r{}\x1b[K", text));
  visible_ = true;
  activity_visible_ = false;
}

void Progress::clear() {
  if (visible_)
    options_.write("\r\x1b[K");
  visible_ = false;
}

namespace {

std::string epoch_text(const ProgressPoint& point) {
  // The epoch of the step that is done, counted from 1.
  double current = std::max(std::ceil(point.epoch), 1.0);
  if (point.epochs > 0)
    current = std::min(current, std::ceil(point.epochs));
  return point.epochs > 0 ? fmt::format("epoch {:.0f}/{:.0f}", current, std::ceil(point.epochs))
                          : fmt::format("epoch {:.0f}", current);
}

std::string step_text(const ProgressPoint& point) {
  return point.total_steps > 0 ? fmt::format("step {}/{}", point.step, point.total_steps)
                               : fmt::format("step {}", point.step);
}

/// Empty when the end or the speed is not known.
std::string left_text(const ProgressPoint& point, double steps_per_second) {
  if (steps_per_second <= 0 || point.total_steps <= point.step)
    return {};
  double left = static_cast<double>(point.total_steps - point.step) / steps_per_second;
  return duration_text(left) + " left";
}

} // namespace

std::string Progress::terminal_line() const {
  std::vector<Piece> pieces = {{epoch_text(point_), 4, bold},
                               {step_text(point_), 1},
                               {fmt::format("loss {:.4f}", smoothed_loss_), 2, bold}};
  if (images_per_second_ > 0)
    pieces.push_back({speed_text(images_per_second_), 3});
  if (std::string left = left_text(point_, steps_per_second_); !left.empty())
    pieces.push_back({left, 5, dim});
  int room = options_.width() - 1; // The last column would wrap on some terminals.
  while (pieces.size() > 1 && width_of(pieces) - static_cast<int>(gap.size()) > room)
    pieces.erase(std::max_element(pieces.begin(), pieces.end(),
                                  [](const auto& a, const auto& b) { return a.cost < b.cost; }));
  std::string text;
  int bar = std::min(widest_bar, room - width_of(pieces));
  if (point_.total_steps > 0 && bar >= narrowest_bar)
    text = bar_text(static_cast<double>(point_.step) / static_cast<double>(point_.total_steps), bar,
                    options_);
  for (const Piece& piece : pieces) {
    std::string_view shown =
        std::string_view(piece.text).substr(0, static_cast<size_t>(std::max(room, 0)));
    if (!text.empty())
      text += gap;
    text += options_.colours && !piece.colour.empty()
                ? fmt::format("{}{}{}", piece.colour, shown, plain)
                : std::string(shown);
  }
  return text;
}

std::string Progress::plain_line() const {
  std::string text =
      fmt::format("{}  {}  loss {:.4f}", epoch_text(point_), step_text(point_), smoothed_loss_);
  if (images_per_second_ > 0)
    text += "  " + speed_text(images_per_second_);
  if (std::string left = left_text(point_, steps_per_second_); !left.empty())
    text += "  " + left;
  return text;
}

} // namespace netc
