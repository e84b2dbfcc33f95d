#include "runtime/data/image.h"

#include "ir/support/error.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace netc {

namespace {

constexpr int weight_bits = 22; // 255 * 2^22 still fits an int32 accumulator.

/// The weighted inputs of a run of output pixels on one axis.
struct AxisFilter {
  int taps = 0;                ///< Weights kept per output; unused ones are zero.
  std::vector<int> first;      ///< First input of each output.
  std::vector<int> count;      ///< Inputs of each output, at most `taps`.
  std::vector<int32_t> weight; ///< [output][taps], in units of 2^-weight_bits.
};

/// One axis of a resize: `in` pixels become `full`, of which [offset, offset + out) are kept.
struct Axis {
  int in = 0;
  int64_t full = 0;
  int64_t offset = 0;
  int out = 0;

  bool copies() const { return in == full; }
};

AxisFilter triangle_filter(const Axis& axis) {
  const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.full);
  const double support = std::max(scale, 1.0);
  AxisFilter filter;
  filter.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  filter.weight.resize(static_cast<size_t>(axis.out) * filter.taps);
  std::vector<double> weight(filter.taps);
  for (int i = 0; i < axis.out; ++i) {
    const double center = (static_cast<double>(axis.offset + i) + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int last = std::min(axis.in, static_cast<int>(center + support + 0.5));
    double sum = 0;
    for (int x = first; x < last; ++x) {
      weight[x - first] = std::max(0.0, 1.0 - std::abs(x - center + 0.5) / support);
      sum += weight[x - first];
    }
    int32_t* fixed = &filter.weight[static_cast<size_t>(i) * filter.taps];
    for (int x = first; x < last; ++x)
      fixed[x - first] =
          static_cast<int32_t>(std::lround(weight[x - first] / sum * (1 << weight_bits)));
    filter.first.push_back(first);
    filter.count.push_back(last - first);
  }
  return filter;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> weight_bits, 0, 255));
}

/// Resamples one row of pixels along x.
template <int C> void filter_row(const uint8_t* in, const AxisFilter& filter, uint8_t* out) {
  for (size_t i = 0; i < filter.first.size(); ++i) {
    const uint8_t* pixel = in + static_cast<size_t>(filter.first[i]) * C;
    const int32_t* weight = &filter.weight[i * filter.taps];
    int32_t sum[C];
    std::fill(sum, sum + C, 1 << (weight_bits - 1));
    for (int t = 0; t < filter.count[i]; ++t, pixel += C)
      for (int c = 0; c < C; ++c)
        sum[c] += weight[t] * pixel[c];
    for (int c = 0; c < C; ++c)
      out[i * C + c] = to_byte(sum[c]);
  }
}

/// The kept columns of input rows [first, first + rows): rows x axis.out x channels.
std::vector<uint8_t> resize_columns(const Image& image, const Axis& axis, int first, int rows) {
  const int channels = image.channels;
  const size_t in_pitch = static_cast<size_t>(image.width) * channels;
  const size_t out_pitch = static_cast<size_t>(axis.out) * channels;
  std::vector<uint8_t> out(out_pitch * rows);
  const AxisFilter filter = axis.copies() ? AxisFilter{} : triangle_filter(axis);
  for (int y = 0; y < rows; ++y) {
    const uint8_t* row = image.pixels.data() + (first + y) * in_pitch;
    uint8_t* target = out.data() + y * out_pitch;
    if (axis.copies())
      std::memcpy(target, row + axis.offset * channels, out_pitch);
    else if (channels == 1)
      filter_row<1>(row, filter, target);
    else
      filter_row<3>(row, filter, target);
  }
  return out;
}

/// Resamples along y; `rows` holds the input rows from `first_row` on, `pitch` bytes each.
void resize_rows(const std::vector<uint8_t>& rows, int first_row, size_t pitch,
                 const AxisFilter& filter, uint8_t* out) {
  std::vector<int32_t> sum(pitch);
  for (size_t i = 0; i < filter.first.size(); ++i) {
    std::fill(sum.begin(), sum.end(), 1 << (weight_bits - 1));
    for (int t = 0; t < filter.count[i]; ++t) {
      const uint8_t* row = rows.data() + (filter.first[i] + t - first_row) * pitch;
      const int32_t weight = filter.weight[i * filter.taps + t];
      for (size_t x = 0; x < pitch; ++x)
        sum[x] += weight * row[x];
    }
    for (size_t x = 0; x < pitch; ++x)
      out[i * pitch + x] = to_byte(sum[x]);
  }
}

/// Resamples without changing the channels.
void resize(const Image& image, const Axis& rows, const Axis& columns, uint8_t* out) {
  const size_t pitch = static_cast<size_t>(columns.out) * image.channels;
  if (rows.copies()) {
    std::vector<uint8_t> cut =
        resize_columns(image, columns, static_cast<int>(rows.offset), rows.out);
    std::memcpy(out, cut.data(), cut.size());
    return;
  }
  const AxisFilter filter = triangle_filter(rows);
  const int first = filter.first.front();
  const int last = filter.first.back() + filter.count.back();
  resize_rows(resize_columns(image, columns, first, last - first), first, pitch, filter, out);
}

} // namespace

StoredFormat stored_format(const InputSpec& input) {
  return {.channels = static_cast<int>(input.channels),
          .height = static_cast<int>(input.stored_height),
          .width = static_cast<int>(input.stored_width),
          .resize = input.resize};
}

Image convert_channels(Image image, int channels) {
  if (image.channels == channels)
    return image;
  const size_t count = static_cast<size_t>(image.height) * image.width;
  Image out{image.height, image.width, channels, std::vector<uint8_t>(count * channels)};
  for (size_t i = 0; i < count; ++i) {
    if (channels == 1) {
      const uint8_t* p = &image.pixels[i * 3];
      out.pixels[i] = static_cast<uint8_t>((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000);
    } else {
      std::fill_n(&out.pixels[i * 3], 3, image.pixels[i]);
    }
  }
  return out;
}

void fit_image(const Image& image, const StoredFormat& format, uint8_t* out) {
  NETC_CHECK(image.height > 0 && image.width > 0 && format.height > 0 && format.width > 0,
             "an image of {}x{} cannot become {}x{}", image.height, image.width, format.height,
             format.width);
  if (image.channels > format.channels)
    return fit_image(convert_channels(image, format.channels), format, out);

  Axis rows{image.height, format.height, 0, format.height};
  Axis columns{image.width, format.width, 0, format.width};
  if (format.resize == Resize::cover) {
    const double scale = std::max(static_cast<double>(format.height) / image.height,
                                  static_cast<double>(format.width) / image.width);
    for (Axis* axis : {&rows, &columns}) {
      axis->full = std::max<int64_t>(axis->out, std::llround(axis->in * scale));
      axis->offset = (axis->full - axis->out) / 2;
    }
  }
  if (image.channels == format.channels)
    return resize(image, rows, columns, out);
  Image grey{format.height, format.width, 1,
             std::vector<uint8_t>(static_cast<size_t>(format.height) * format.width)};
  resize(image, rows, columns, grey.pixels.data());
  const Image colour = convert_channels(std::move(grey), format.channels);
  std::memcpy(out, colour.pixels.data(), colour.pixels.size());
}

} // namespace netc
