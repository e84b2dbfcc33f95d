#pragma once
// The progress of a run on stderr: one line that is redrawn on a terminal, plain lines elsewhere.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace netc {

/// How progress is shown, and where time, width and output come from (tests inject theirs).
struct ProgressOptions {
  bool quiet = false;    ///< Shows nothing at all.
  bool terminal = false; ///< Redraws one line; otherwise plain lines.
  bool colours = false;
  bool unicode = false;          ///< Draws the bar with box characters instead of `#` and `.`.
  double plain_seconds = 30;     ///< Between two plain lines.
  std::function<double()> clock; ///< Seconds since any fixed moment.
  std::function<int()> width;    ///< Columns of the terminal.
  std::function<void(std::string_view)> write; ///< Gets whole lines or redraws.

  /// For this process: stderr, its width and kind; colours and redrawing on a terminal only.
  static ProgressOptions for_stderr(bool quiet);
};

/// Where training stands after a step.
struct ProgressPoint {
  int64_t step = 0;
  int64_t total_steps = 0; ///< 0 when the end is not known.
  double epoch = 0;        ///< Epochs done, a fraction.
  double epochs = 0;       ///< Epochs planned; 0 when unknown.
  double loss = 0;         ///< Of this step; shown smoothed.
  int64_t images = 0;      ///< Of this step.
};

/// Shows progress. On a terminal the line is redrawn at most 10 times a second and never wraps;
/// elsewhere one plain line comes per `plain_seconds` and per epoch. Not thread-safe.
class Progress {
public:
  explicit Progress(ProgressOptions options);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Clears the line.
  ~Progress();

  /// Tells that a step is done.
  void update(const ProgressPoint& point);

  /// Shows what is done between steps (`validating 12/80`, `writing a checkpoint`); its time does
  /// not count as training. Terminal only.
  void activity(std::string_view text);

  /// Prints a line that stays, such as a validation result.
  void line(std::string_view text);

  /// Shows the last state (plain) or clears the line (terminal); nothing moves until update().
  void finish();

private:
  void measure(const ProgressPoint& point, double now);
  void draw(const std::string& text);
  void clear();
  std::string terminal_line() const;
  std::string plain_line() const;

  ProgressOptions options_;
  ProgressPoint point_;
  double smoothed_loss_ = 0;
  double loss_weight_ = 0;       ///< Of the observations in smoothed_loss_, towards 1.
  double images_per_second_ = 0; ///< Recent; 0 when not yet known.
  double steps_per_second_ = 0;
  double measured_at_ = 0; ///< When `pending_` began to count.
  int64_t pending_images_ = 0;
  int64_t pending_steps_ = 0;
  bool timing_ = false; ///< Whether measured_at_ is valid.
  double drawn_at_ = 0;
  bool drawn_ever_ = false;
  bool visible_ = false;
  bool activity_visible_ = false; ///< Whether the visible line is an activity.
  int64_t printed_step_ = -1;
};

/// `45s`, `3m 05s`, `2h 03m`, `4d 07h`; `?` for what is not a duration.
std::string duration_text(double seconds);

} // namespace netc
