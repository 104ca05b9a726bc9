// Guarded<T>: data that can be reached only through its lock.
#pragma once

#include <mutex>
#include <utility>

namespace pooler {

template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  class Access {
   public:
    explicit Access(Guarded& owner) : lock_(owner.mutex_), value_(owner.value_) {}
    T* operator->() { return &value_; }
    T& operator*() { return value_; }
    // For condition variables.
    std::unique_lock<std::mutex>& held() { return lock_; }

   private:
    std::unique_lock<std::mutex> lock_;
    T& value_;
  };

  [[nodiscard]] Access lock() { return Access(*this); }
  [[nodiscard]] T copy() const {
    std::lock_guard held(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace pooler
