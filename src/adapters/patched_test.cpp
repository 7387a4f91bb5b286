// A checkpoint with changes: which tensors change, their order and revisions, and exact removal.
#include "adapters/patched.h"

#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/half.h"
#include "support/test_files.h"
#include "weights/safetensors.h"

namespace tempera {
namespace {

using testing::ElementsAre;

// W becomes factor W + weight.
class Affine final : public Change {
 public:
  explicit Affine(float factor) : factor_(factor) {}

  std::shared_ptr<const ElementReader> over(std::shared_ptr<const ElementReader> below, float weight) const override {
    return std::make_shared<Reader>(std::move(below), factor_, weight);
  }
  std::string_view kind() const override { return "LoRA"; }
  int64_t rank() const override { return 1; }

 private:
  class Reader final : public ElementReader {
   public:
    Reader(std::shared_ptr<const ElementReader> below, float factor, float weight)
        : below_(std::move(below)), factor_(factor), weight_(weight) {}
    void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override {
      std::vector<float> row(block.columns);
      for (size_t r = 0; r < block.rows; ++r) {
        below_->read(block.first + r * block.stride, row.size(), DType::f32,
                     std::as_writable_bytes(std::span(row)).data());
        for (float& value : row) value = factor_ * value + weight_;
        convert(row.data(), DType::f32, destination + r * pitch, to, row.size());
      }
    }
    void done(size_t first, size_t n) const noexcept override { below_->done(first, n); }

   private:
    std::shared_ptr<const ElementReader> below_;
    float factor_, weight_;
  };

  float factor_;
};

std::shared_ptr<const AdapterChanges> changes(uint64_t identity, const std::vector<std::string>& names, float factor) {
  auto result = std::make_shared<AdapterChanges>();
  result->identity = identity;
  for (const std::string& name : names) result->by_parameter[name] = std::make_shared<Affine>(factor);
  return result;
}

// The bf16 tensors a = 1 2 3 and b = 4 5 6.
class Patched : public testing::Test {
 protected:
  std::shared_ptr<const Checkpoint> file() const {
    const auto bytes = [](std::initializer_list<float> values) {
      std::vector<std::byte> result(values.size() * size_of(DType::bf16));
      convert(std::data(values), DType::f32, result.data(), DType::bf16, values.size());
      return result;
    };
    const auto path = folder_ / "base.safetensors";
    write_safetensors(path, {{{"a", DType::bf16, {3}}, bytes({1, 2, 3})}, {{"b", DType::bf16, {3}}, bytes({4, 5, 6})}});
    return std::make_shared<SafetensorsFile>(path);
  }

  TemporaryFolder folder_;
  std::shared_ptr<const Checkpoint> file_ = file();
  PatchedCheckpoint patched_{file_};
  const std::shared_ptr<const AdapterChanges> first_ = changes(1, {"a"}, 2), second_ = changes(2, {"a", "b"}, 3);

  uint64_t revision_of(const char* name) const { return patched_.get(name).revision; }
};

TEST_F(Patched, WithoutChangesIsTheCheckpoint) {
  EXPECT_THAT(patched_.names(), ElementsAre("a", "b"));
  EXPECT_EQ(patched_.get("a").dtype, DType::bf16);
  EXPECT_EQ(stored_bytes(patched_.get("a")), stored_bytes(file_->get("a")));
  EXPECT_EQ(patched_.revision(), file_->revision());
  EXPECT_EQ(revision_of("a"), 0u);
  EXPECT_FALSE(patched_.find("c").has_value());
  EXPECT_EQ(patched_.origin("a"), file_->origin("a"));
}

TEST_F(Patched, OnlyTensorsWithChangesChange) {
  patched_.set({{first_, 0.5f}});
  EXPECT_THAT(patched_.get("a").floats(), ElementsAre(2.5f, 4.5f, 6.5f));
  EXPECT_EQ(patched_.get("a").dtype, DType::f32);
  EXPECT_THAT(patched_.get("b").floats(), ElementsAre(4, 5, 6));
  EXPECT_EQ(patched_.get("b").dtype, DType::bf16);
  EXPECT_NE(revision_of("a"), 0u);
  EXPECT_EQ(revision_of("b"), 0u);
}

TEST_F(Patched, ChangesApplyInOrder) {
  patched_.set({{first_, 1}, {second_, 2}});
  EXPECT_THAT(patched_.get("a").floats(), ElementsAre(11, 17, 23));  // (2 x + 1) 3 + 2
  patched_.set({{second_, 2}, {first_, 1}});
  EXPECT_THAT(patched_.get("a").floats(), ElementsAre(11, 17, 23));  // (3 x + 2) 2 + 1 is 6 x + 5, as above
  patched_.set({{second_, 1}, {first_, 1}});
  EXPECT_THAT(patched_.get("a").floats(), ElementsAre(9, 15, 21));  // (3 x + 1) 2 + 1
}

TEST_F(Patched, EqualSetsHaveEqualRevisionsAndOthersDoNot) {
  const std::vector<std::vector<PatchedCheckpoint::Use>> sets = {{{first_, 1}},
                                                                 {{first_, 0.5f}},
                                                                 {{first_, -1}},
                                                                 {{second_, 1}},
                                                                 {{first_, 1}, {second_, 1}},
                                                                 {{second_, 1}, {first_, 1}},
                                                                 {{first_, 1}, {first_, 1}},
                                                                 {{changes(3, {"a"}, 2), 1}}};
  std::set<uint64_t> whole{patched_.revision()}, of_a{revision_of("a")};
  for (const auto& uses : sets) {
    patched_.set(uses);
    const uint64_t revision = patched_.revision(), a = revision_of("a");
    EXPECT_TRUE(whole.insert(revision).second);
    EXPECT_TRUE(of_a.insert(a).second);
    patched_.set({});
    patched_.set(uses);
    EXPECT_EQ(patched_.revision(), revision);
    EXPECT_EQ(revision_of("a"), a);
  }
}

TEST_F(Patched, AChangeOfOneTensorKeepsTheRevisionsOfOthers) {
  patched_.set({{second_, 1}});
  const uint64_t a = revision_of("a"), b = revision_of("b");
  patched_.set({{first_, 1}, {second_, 1}});
  EXPECT_NE(revision_of("a"), a);
  EXPECT_EQ(revision_of("b"), b);
}

TEST_F(Patched, RemovalGivesTheCheckpointBack) {
  patched_.set({{second_, 1}});
  patched_.set({});
  EXPECT_EQ(patched_.revision(), file_->revision());
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(stored_bytes(patched_.get(name)), stored_bytes(file_->get(name)));
    EXPECT_EQ(patched_.get(name).dtype, DType::bf16);
    EXPECT_EQ(revision_of(name), 0u);
  }
}

TEST_F(Patched, WeightZeroAndAnEmptyAdapterChangeNothing) {
  patched_.set({{first_, 0}, {changes(9, {}, 1), 1}});
  EXPECT_EQ(patched_.revision(), file_->revision());
  EXPECT_EQ(stored_bytes(patched_.get("a")), stored_bytes(file_->get("a")));
}

TEST_F(Patched, ReadersKeepTheirChanges) {
  patched_.set({{first_, 1}});
  const CheckpointTensor before = patched_.get("a");
  patched_.set({{second_, 1}});
  EXPECT_THAT(before.floats(), ElementsAre(3, 5, 7));
}

// A tensor is always that of one set, never of a mixture: its values belong to its revision.
TEST_F(Patched, ChangesAreReplacedWhileOthersRead) {
  const std::vector<PatchedCheckpoint::Use> one{{first_, 1}}, two{{second_, 1}, {first_, 1}};
  std::map<uint64_t, std::vector<float>> known;
  for (const auto& uses : {one, two}) {
    patched_.set(uses);
    known[revision_of("a")] = patched_.get("a").floats();
  }
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  readers.reserve(3);
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) {
        const CheckpointTensor a = patched_.get("a");
        const auto at = known.find(a.revision);
        if (at == known.end() || at->second != a.floats()) ++wrong;
      }
    });
  for (int i = 0; i < 200; ++i) patched_.set(i % 2 == 0 ? one : two);
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tempera
