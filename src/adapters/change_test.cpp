// Every formula against the same formula in double precision, blocks of all shapes against the whole, readers that
// count, and layers that are refused.
#include "adapters/change.h"

#include <gmock/gmock.h>

#include <thread>

#include "adapters/formula_cases.h"
#include "base/error.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<float> read_all(const ElementReader& reader, size_t n) {
  std::vector<float> values(n);
  reader.read(0, n, DType::f32, std::as_writable_bytes(std::span(values)).data());
  return values;
}

double relative_error(const std::vector<float>& got, const Values& expected) {
  double difference = 0, length = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = static_cast<double>(got[i]) - expected[i];
    difference += d * d;
    length += expected[i] * expected[i];
  }
  return std::sqrt(difference / length);
}

// The bits of a block; elements between its rows are 0xee.
std::vector<std::byte> bits(const ElementReader& reader, const ElementBlock& block, DType to, size_t pitch) {
  std::vector<std::byte> bytes(block.rows * pitch, std::byte{0xee});
  reader.read_block(block, to, bytes.data(), pitch);
  return bytes;
}

class Formula : public testing::TestWithParam<FormulaCase> {
 protected:
  size_t elements() const { return GetParam().below.numbers.size(); }
  size_t columns() const {
    const std::vector<int64_t>& dims = GetParam().layer.parameter.dims;
    return dims.size() < 2 ? elements() : elements() / static_cast<size_t>(dims[0]);
  }
  std::shared_ptr<const Change> change() const { return make_change(GetParam().layer); }
  std::shared_ptr<const ElementReader> below() const { return GetParam().below.tensor.reader; }
};

TEST_P(Formula, EqualsTheFormulaInDoublePrecision) {
  for (const float weight : {1.0f, 0.75f, -0.5f}) {
    const std::vector<float> got = read_all(*change()->over(below(), weight), elements());
    const Values expected = GetParam().expected(GetParam().below.numbers, static_cast<double>(weight));
    ASSERT_EQ(expected.size(), got.size());
    EXPECT_LT(relative_error(got, expected), 1e-6) << "weight " << weight;
    EXPECT_GT(relative_error(read_all(*below(), elements()), expected), 1e-3) << "the change is too small to be tested";
  }
}

TEST_P(Formula, NamesItsKindAndRank) {
  EXPECT_EQ(change()->kind(), GetParam().kind);
  EXPECT_EQ(change()->rank(), GetParam().rank);
}

TEST_P(Formula, BlocksHaveTheBitsOfTheWhole) {
  const auto reader = change()->over(below(), 0.75f);
  const size_t c = columns(), n = elements(), rows = n / c;
  const ElementBlock blocks[] = {{0, rows, c, c},           // whole rows
                                 {3 * c + 5, 9, c - 7, c},  // parts of rows
                                 {2 * c + 37, 13, 3, c},
                                 {c - 1, 4, 1, c},
                                 {5, 2, 2 * c + 3, 3 * c},  // runs across rows, at a distance
                                 {7, 1, n - 9, 0},
                                 {1, 5, 11, c + 1},  // diagonal
                                 {4, 3, 20, 7},      // rows that overlap
                                 {n - 1, 1, 1, 1},
                                 {0, 0, 5, c},
                                 {n, 3, 0, c}};
  for (const DType to : {DType::f32, DType::bf16, DType::f16}) {
    const size_t size = size_of(to);
    const std::vector<std::byte> whole = bits(*reader, {0, 1, n, n}, to, n * size);
    for (const ElementBlock& block : blocks) {
      if (block.rows * block.columns > 0 && block.first + (block.rows - 1) * block.stride + block.columns > n) continue;
      const size_t pitch = block.columns * size + 6;  // not aligned for float32
      std::vector<std::byte> expected(block.rows * pitch, std::byte{0xee});
      for (size_t r = 0; r < block.rows; ++r)
        std::copy_n(whole.data() + (block.first + r * block.stride) * size, block.columns * size,
                    expected.data() + r * pitch);
      EXPECT_EQ(bits(*reader, block, to, pitch), expected)
          << block.first << " " << block.rows << " x " << block.columns << " stride " << block.stride;
    }
  }
}

TEST_P(Formula, WeightZeroIsTheParameterBelow) {
  EXPECT_EQ(read_all(*change()->over(below(), 0), elements()), read_all(*below(), elements()));
}

TEST_P(Formula, PartsAreGivenBackAndReadAgain) {
  AdapterLayer layer = GetParam().layer;
  std::vector<std::pair<std::string, std::shared_ptr<const CountingReader>>> counters;
  for (auto& [name, tensor] : layer.parts) {
    counters.emplace_back(name,
                          std::make_shared<CountingReader>(tensor.reader, static_cast<size_t>(tensor.elements())));
    tensor.reader = counters.back().second;
  }
  const auto counting_below = std::make_shared<CountingReader>(below(), elements());
  const auto reader = make_change(layer)->over(counting_below, 0.75f);
  const std::vector<float> first = read_all(*reader, elements());
  reader->done(0, elements() - 1);
  reader->done(elements() - 1, 1);
  if (GetParam().reads_once) {
    EXPECT_EQ(counting_below->fault(), "");
  }
  for (const auto& [name, counter] : counters) {
    EXPECT_TRUE(GetParam().reads_often.contains(name) || counter->fault().empty()) << name << " " << counter->fault();
  }
  EXPECT_EQ(read_all(*reader, elements()), first);
  reader->done(0, elements());
  const std::set<std::string> kept{"alpha", "scale", "on_input", "dora_scale"};  // or the lengths made from it
  for (const auto& [name, counter] : counters) {
    EXPECT_TRUE(kept.contains(name) || !counter->fault().empty()) << name << " was not read again";
  }
}

TEST_P(Formula, SeveralThreadsReadAtOnce) {
  const auto reader = change()->over(below(), 0.75f);
  const std::vector<float> expected = read_all(*change()->over(below(), 0.75f), elements());
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (auto& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 3; ++i) {
        result = read_all(*reader, elements());
        reader->done(elements() - 1, 1);  // releases the factors while others read
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

INSTANTIATE_TEST_SUITE_P(All, Formula, testing::ValuesIn(formula_cases()),
                         [](const auto& instance) { return instance.param.name; });

// Three adapters over one parameter read it once.
TEST(Changes, AreChained) {
  const std::vector<FormulaCase> cases = formula_cases();
  const FormulaCase& lora = cases.front();
  const size_t n = lora.below.numbers.size();
  const auto counter = std::make_shared<CountingReader>(lora.below.tensor.reader, n);
  std::shared_ptr<const ElementReader> reader = counter;
  Values expected = lora.below.numbers;
  for (const float weight : {0.5f, -1.0f, 2.0f}) {
    reader = make_change(lora.layer)->over(reader, weight);
    expected = lora.expected(expected, static_cast<double>(weight));
  }
  EXPECT_LT(relative_error(read_all(*reader, n), expected), 1e-6);
  reader->done(0, n);
  EXPECT_EQ(counter->fault(), "");
}

TEST(Changes, OutliveTheirLayer) {
  std::shared_ptr<const ElementReader> reader;
  size_t n = 0;
  {
    const FormulaCase lora = formula_cases().front();
    n = lora.below.numbers.size();
    reader = make_change(lora.layer)->over(lora.below.tensor.reader, 1);
  }
  EXPECT_EQ(read_all(*reader, n).size(), n);
}

struct Refused {
  std::string name;
  std::vector<int64_t> parameter;
  std::vector<std::pair<std::string, std::vector<int64_t>>> parts;
  std::string words;

  friend void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }
};

class RefusedLayer : public testing::TestWithParam<Refused> {};

TEST_P(RefusedLayer, IsAnErrorThatNamesIt) {
  Parameter layer(GetParam().parameter);
  for (const auto& [name, dims] : GetParam().parts) layer.add(name, dims, DType::f32);
  try {
    make_change(layer.layer());
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_file);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("'first' in 'file'"), HasSubstr(GetParam().words)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedLayer,
    testing::Values(
        Refused{"Nothing", {8, 6}, {}, "lacks the part lora_up"},
        Refused{"OnlyAlpha", {8, 6}, {{"alpha", {}}}, "lacks the part lora_up"},
        Refused{"NoDown", {8, 6}, {{"lora_up", {8, 2}}}, "lacks the part lora_down"},
        Refused{"UnknownPart", {8, 6}, {{"lora_up", {8, 2}}, {"lora_down", {2, 6}}, {"gate", {1}}}, "the part 'gate'"},
        Refused{"TwoKinds", {8, 6}, {{"lora_up", {8, 2}}, {"lora_down", {2, 6}}, {"diff", {8, 6}}}, "the part 'lora_"},
        Refused{"OtherOut", {8, 6}, {{"lora_up", {9, 2}}, {"lora_down", {2, 6}}}, "lora_up of shape 9x2"},
        Refused{"OtherIn", {8, 6}, {{"lora_up", {8, 2}}, {"lora_down", {2, 5}}}, "lora_down of shape 2x5"},
        Refused{"TwoRanks", {8, 6}, {{"lora_up", {8, 2}}, {"lora_down", {3, 6}}}, "lora_down of shape 3x6"},
        Refused{"RankZero", {8, 6}, {{"lora_up", {8, 0}}, {"lora_down", {0, 6}}}, "lora_up of shape 8x0"},
        Refused{"LoraOfBias", {8}, {{"lora_up", {8, 2}}, {"lora_down", {2, 1}}}, "lora_up of shape 8x2"},
        Refused{"OneTapOfNine", {8, 6, 3, 3}, {{"lora_up", {8, 2}}, {"lora_down", {2, 6, 1, 1}}}, "lora_down"},
        Refused{"TwoAlphas", {8, 6}, {{"lora_up", {8, 2}}, {"lora_down", {2, 6}}, {"alpha", {2}}}, "alpha of shape 2"},
        Refused{"OtherCore",
                {8, 6, 3, 3},
                {{"lora_up", {8, 2}}, {"lora_down", {2, 6}}, {"lora_mid", {2, 2, 3, 2}}},
                "lora_mid of shape 2x2x3x2"},
        Refused{"OtherDiff", {8, 6}, {{"diff", {8, 5}}}, "diff of shape 8x5"},
        Refused{"OtherDora",
                {8, 6},
                {{"lora_up", {8, 2}}, {"lora_down", {2, 6}}, {"dora_scale", {5, 1}}},
                "dora_scale of shape 5x1"},
        Refused{"HalfHadamard", {8, 6}, {{"hada_w1_a", {8, 2}}, {"hada_w1_b", {2, 6}}}, "lacks the part hada_w2_a"},
        Refused{"KroneckerRows", {8, 6}, {{"lokr_w1", {3, 2}}, {"lokr_w2", {3, 3}}}, "lokr_w1 of shape 3x2"},
        Refused{"KroneckerColumns", {8, 6}, {{"lokr_w1", {2, 2}}, {"lokr_w2", {4, 4}}}, "lokr_w2 of shape 4x4"},
        Refused{"GloraInputs", {8, 6}, {{"a1", {5, 2}}, {"a2", {2, 6}}, {"b1", {8, 2}}, {"b2", {2, 6}}}, "of shape"},
        Refused{"Ia3Rows", {8, 6}, {{"weight", {6}}}, "weight of shape 6"},
        Refused{"Boft", {8, 6}, {{"oft_blocks", {2, 4, 2, 2}}}, "oft_blocks of shape 2x4x2x2"},
        Refused{"OftRows", {8, 6}, {{"oft_blocks", {3, 2, 2}}}, "oft_blocks of shape 3x2x2"},
        Refused{"OftRescale", {8, 6}, {{"oft_blocks", {4, 2, 2}}, {"rescale", {4, 2, 1}}}, "rescale of shape 4x2x1"}),
    [](const auto& instance) { return instance.param.name; });

TEST(Changes, AlphaMustBeFinite) {
  Parameter layer({8, 6});
  layer.add("lora_up", {8, 2}, DType::f32);
  layer.add("lora_down", {2, 6}, DType::f32);
  layer.add_number("alpha", std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(make_change(layer.layer()), Error);
}

}  // namespace
}  // namespace tempera
