package shop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.ConfigurableApplicationContext;

/** Flyway migrates when the application starts; then twenty threads place orders. */
@SpringBootApplication
public class Shop {
  private static final int CLIENTS = 20;
  private static final int ORDERS = 10;

  public static void main(String[] arguments) throws Exception {
    try (ConfigurableApplicationContext context = SpringApplication.run(Shop.class, arguments)) {
      Orders orders = context.getBean(Orders.class);
      int placed = placeAll(orders);
      System.out.printf(
          "{\"placed\": %d, \"listed\": %d, \"prepared\": %d, \"isolation\": [\"%s\", \"%s\"]}%n",
          placed, orders.listed(), orders.prepared(), orders.serializable(), orders.isolation());
    }
  }

  private static int placeAll(Orders orders) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
    CyclicBarrier allHere = new CyclicBarrier(CLIENTS);
    List<Future<Integer>> results = new ArrayList<>();
    for (int number = 0; number < CLIENTS; number++) {
      results.add(
          threads.submit(
              () -> {
                allHere.await();
                return client(orders);
              }));
    }
    int placed = 0;
    for (Future<Integer> result : results) {
      placed += result.get();
    }
    threads.shutdown();
    return placed;
  }

  /** Places its orders, all but the first, at which it changes its mind. */
  private static int client(Orders orders) {
    int placed = 0;
    for (int number = 0; number < ORDERS; number++) {
      try {
        orders.place(number > 0);
        placed++;
      } catch (Orders.ChangedMind expected) {
        // rolled back
      }
    }
    return placed;
  }
}
