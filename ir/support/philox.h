#pragma once
// Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3"), the one
// source of randomness. Plain C++ without includes: the same text is compiled into netc and into
// generated kernels.

namespace netc {

/// Four independent uniformly distributed 32-bit words.
struct Philox4 {
  unsigned word[4];
};

/// The words at `counter` under `key`: a pure function, so any device draws the same numbers.
constexpr Philox4 philox4x32_10(unsigned key0, unsigned key1, unsigned counter0, unsigned counter1,
                                unsigned counter2, unsigned counter3) {
  Philox4 c{{counter0, counter1, counter2, counter3}};
  for (int round = 0; round < 10; ++round) {
    unsigned long long product0 = 0xD2511F53ull * c.word[0];
    unsigned long long product1 = 0xCD9E8D57ull * c.word[2];
    unsigned next0 = static_cast<unsigned>(product1 >> 32) ^ c.word[1] ^ key0;
    unsigned next2 = static_cast<unsigned>(product0 >> 32) ^ c.word[3] ^ key1;
    c.word[0] = next0;
    c.word[1] = static_cast<unsigned>(product1);
    c.word[2] = next2;
    c.word[3] = static_cast<unsigned>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

/// A uniform value in [0, 1) with 24 random bits: exact in f32, never 1.
constexpr float uniform_unit(unsigned word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

/// Streams keep the draws of different purposes apart: the second word of the key is
/// seed's high word ^ stream. Dropout layers use `dropout + ordinal of the layer`.
enum RandomStream : unsigned {
  stream_init = 0x10000000u,
  stream_order = 0x20000000u,
  stream_augment = 0x30000000u,
  stream_dropout = 0x40000000u,
  stream_synthetic = 0x50000000u,
};

} // namespace netc
